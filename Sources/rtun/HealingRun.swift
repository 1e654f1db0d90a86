// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Synchronization
import Transfer

/// A transfer that goes on by itself after its tunnel broke: waits for a socket that answers, and sends what is missing.
///
/// Where the laptop's daemon still knows the transfer it goes on where it stood. Where it has died meanwhile everything is
/// offered to the next one, and what was durable does not travel again.
struct HealingRun {
    let run: TransferRun
    /// How long one interruption may last.
    let patience: Duration

    /// Sends with a fresh planner for each daemon.
    ///
    /// Throws what cannot be healed, or the interruption that lasted.
    func send(
        rememberingIn folder: @escaping @Sendable (Welcome) -> Directory?,
        _ makePlanner: () -> SourcePlanner
    ) async throws -> TransferRun.Result {
        let request = try run.makeRequest()
        let latest = LatestReached(try await run.open(request))
        let inbox = latest.reached.welcome.inbox
        let relink: Sender.Relink = { error in
            let next = try await reach(request, inbox: inbox, after: error)
            latest.note(next)
            return next.link
        }
        while true {
            let reached = latest.reached
            do {
                return try await run.send(
                    makePlanner(),
                    on: reached,
                    relink: patience > .zero ? relink : nil,
                    rememberingIn: folder(reached.welcome)
                )
            } catch is TransferForgotten {
                continue
            } catch {
                if ExitStatus(error) == .interrupted { run.report.note(Self.advice) }
                throw error
            }
        }
    }

    /// What to type to go on with a send that ended early.
    static var advice: String {
        "to go on, run again: " + CommandLine.arguments.map(shellQuoted).joined(separator: " ")
    }

    /// Looks for a socket that answers, ever more slowly up to every 5 s, and opens the transfer there.
    ///
    /// Throws the cause at the end of patience, or what cannot be healed.
    private func reach(_ request: OpenRequest, inbox: [UInt8], after cause: any Error) async throws
        -> TransferRun.Reached
    {
        run.report.note("the tunnel is gone (\(Client.describe(cause))); waiting for it to come back")
        let end = ProcessContext.monotonicNow + patience
        var pause = Duration.milliseconds(50)
        while true {
            do {
                let reached = try await run.open(request)
                // Another laptop may answer by now: it is none of its business.
                guard reached.welcome.inbox == inbox else {
                    reached.link.control.close()
                    throw TransferError.noAnswer
                }
                run.report.note("the tunnel is back; going on")
                return reached
            } catch {
                let isInterruption = (error as? TransferError)?.isInterruption == true || error is NoTunnel
                guard isInterruption else { throw error }
                guard ProcessContext.monotonicNow + pause < end else { throw cause }
            }
            try await Task.sleep(for: pause, clock: .suspending)
            pause = min(pause * 2, .seconds(5))
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

/// The way to the laptop that was found last.
private final class LatestReached: Sendable {
    private let state: Mutex<TransferRun.Reached>

    init(_ reached: TransferRun.Reached) { state = Mutex(reached) }

    var reached: TransferRun.Reached { state.withLock { $0 } }

    func note(_ reached: TransferRun.Reached) { state.withLock { $0 = reached } }
}
