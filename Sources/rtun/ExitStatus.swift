// SPDX-License-Identifier: MIT

import ArgumentParser
import Transfer

/// The exit codes of every command.
///
/// Where several apply, the one listed first wins.
enum ExitStatus: Int32, CaseIterable, Comparable {
    case userInterrupt = 130
    case integrity = 8
    case laptopDisk = 7
    case refused = 6
    case interrupted = 4
    case noTunnel = 3
    case partial = 5
    case failure = 1
    case success = 0

    /// For the help of commands.
    static let help = """
        Exit codes: 0 everything durable and verified on the laptop; 1 other failure; 3 no tunnel or no daemon; \
        4 interrupted; 5 partial, each source that was not sent is listed; 6 refused by the laptop; 7 the laptop's \
        disk; 8 integrity; 64 usage; 130 interrupted by you.
        """

    /// Ordered by precedence: the greater one is reported.
    static func < (left: Self, right: Self) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) > (allCases.firstIndex(of: right) ?? 0)
    }

    /// What a peer's refusal means here.
    init(_ abort: Abort) {
        self =
            switch abort.code {
            case .policy, .quota: .refused
            case .diskFull, .readOnly, .inputOutput: .laptopDisk
            case .integrity: .integrity
            case .busy, .stopping, .timeout: .interrupted
            case .interrupted: .userInterrupt
            case .protocolViolation, .unknown, .version, .internal, .conflict: .failure
            }
    }

    init(_ error: any Error) {
        self =
            switch error {
            case TransferError.peer(let abort), TransferError.local(let abort): ExitStatus(abort)
            case TransferError.linkLost, TransferError.silence: .interrupted
            case TransferError.noAnswer: .noTunnel
            case is NoTunnel: .noTunnel
            case let interruption as Interruption: ExitStatus(interruption.cause)
            default: .failure
            }
    }

    /// Ends the command with this code; nothing more is printed.
    func end() throws {
        if self != .success { throw ExitCode(rawValue) }
    }
}
