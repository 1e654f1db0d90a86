// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import NIOCore
import Transfer
import UnixSignals

/// A transfer that goes on by itself after its tunnel broke: waits for a socket that answers, and sends what is missing.
///
/// The laptop keeps what was durable, so every attempt offers everything and only the rest travels.
struct HealingRun {
    let run: TransferRun
    /// How long one interruption may last.
    let patience: Duration

    /// Sends with a fresh planner for each attempt.
    ///
    /// Throws what cannot be healed, or the interruption that lasted.
    func send(_ makePlanner: () -> SourcePlanner) async throws -> TransferRun.Result {
        var hasBegun = false
        while true {
            do {
                return try await run.send(makePlanner()) { hasBegun = true }
            } catch {
                guard hasBegun, Self.isInterruption(error) else { throw error }
                guard patience > .zero else {
                    run.report.note(Self.advice)
                    throw error
                }
                run.report.note("the tunnel is gone (\(Client.describe(error))); waiting for it to come back")
                try await waitForTunnel(error)
                run.report.note("the tunnel is back; going on")
            }
        }
    }

    /// What to type to go on with a send that ended early.
    static var advice: String {
        "to go on, run again: " + CommandLine.arguments.map(shellQuoted).joined(separator: " ")
    }

    /// True where the laptop or the link went away: nothing is wrong with the send itself.
    private static func isInterruption(_ error: any Error) -> Bool {
        switch error {
        case TransferError.linkLost, TransferError.silence, TransferError.noAnswer: true
        case TransferError.peer(let abort): [.stopping, .timeout, .busy].contains(abort.code)
        case is NoTunnel: true
        default: false
        }
    }

    /// Looks for a socket that answers, ever more slowly up to every 5 s; a signal or the end of patience throws.
    private func waitForTunnel(_ cause: any Error) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        let end = ProcessContext.monotonicNow + patience
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                for await signal in signals {
                    throw TransferError.local(
                        signal == .sigint
                            ? Abort(.interrupted, "interrupted") : Abort(.stopping, "stopped by a signal")
                    )
                }
            }
            group.addTask {
                var pause = Duration.milliseconds(100)
                while true {
                    if let found = try? await run.client.finder.open(nil) {
                        found.connection.close()
                        return
                    }
                    guard ProcessContext.monotonicNow + pause < end else { throw cause }
                    try await Task.sleep(for: pause, clock: .suspending)
                    pause = min(pause * 2, .seconds(5))
                }
            }
            // Whoever ends first decides; the signals end only by throwing.
            do {
                try await group.next()
            } catch {
                if ExitStatus(error) != .userInterrupt { run.report.note(Self.advice) }
                throw error
            }
        }
    }

    /// A word as a POSIX shell reads it back.
    private static func shellQuoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "+"):
                true
            default: false
            }
        }
        if plain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
