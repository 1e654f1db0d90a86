// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Synchronization
import Transfer
import UnixSignals

/// A transfer that goes on by itself after its tunnel broke: waits for a socket that answers, and sends what is missing.
///
/// Where the laptop's daemon still knows the transfer it goes on where it stood. Where it has died meanwhile everything is
/// offered to the next one, and what was durable does not travel again.
struct HealingRun {
    let run: TransferRun
    /// How long one interruption may last.
    let patience: Duration
    /// How long the first contact may take.
    let firstPatience: Duration
    /// How long a laptop may be busy before that counts.
    private static let busyPatience: Duration = .seconds(5)
    /// For so long after a break a new tunnel is looked for twice a second.
    private static let promptTime: Duration = .seconds(600)

    /// Sends with a fresh planner for each daemon.
    ///
    /// Throws what cannot be healed, or the interruption that lasted.
    func send(
        rememberingIn folder: @escaping @Sendable (Welcome) -> Directory?,
        _ makePlanner: () throws -> SourcePlanner
    ) async throws -> TransferRun.Result {
        let request = try run.makeRequest()
        let latest = LatestReached(try await firstContact(request))
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
                    try makePlanner(),
                    on: reached,
                    relink: patience > .zero ? relink : nil,
                    rememberingIn: folder(reached.welcome)
                )
            } catch is TransferForgotten {
                continue
            }
        }
    }

    /// Opens the transfer for the first time, waiting for a tunnel as long as the user said.
    ///
    /// A laptop that is busy with the same send is asked for some seconds more: it may not have noticed yet that
    /// another process was killed. A signal ends the waiting.
    func firstContact(_ request: OpenRequest) async throws -> TransferRun.Reached {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        return try await withThrowingTaskGroup(of: TransferRun.Reached?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await openAtLast(request) }
            group.addTask {
                for await signal in signals {
                    throw TransferError.local(
                        signal == .sigint
                            ? Abort(.interrupted, "interrupted") : Abort(.stopping, "stopped by a signal")
                    )
                }
                return nil
            }
            while let reached = try await group.next() {
                if let reached { return reached }
            }
            throw CancellationError()
        }
    }

    private func openAtLast(_ request: OpenRequest) async throws -> TransferRun.Reached {
        var request = request
        request.isAnew = true
        let start = ProcessContext.monotonicNow
        var pause = Duration.milliseconds(100)
        var hasTold = false
        while true {
            do {
                return try await run.open(request)
            } catch {
                let isBusy = ExitStatus(error) == .interrupted
                let limit = isBusy ? max(firstPatience, Self.busyPatience) : firstPatience
                let left = limit - (ProcessContext.monotonicNow - start)
                guard left > .zero, Self.isInterruption(error) else { throw error }
                if !isBusy, !hasTold {
                    run.report.note("no tunnel to your computer yet; waiting for one")
                    hasTold = true
                }
                try await Task.sleep(for: min(pause, left), clock: .suspending)
            }
            pause = min(pause * 2, .seconds(5))
        }
    }

    private static func isInterruption(_ error: any Error) -> Bool {
        (error as? TransferError)?.isInterruption == true || error is NoTunnel
    }

    /// Looks for a socket that answers, twice a second and after some minutes every 5 s, and opens the transfer there.
    ///
    /// Throws the cause at the end of patience, or what cannot be healed.
    private func reach(_ request: OpenRequest, inbox: [UInt8], after cause: any Error) async throws
        -> TransferRun.Reached
    {
        run.report.note("the tunnel is gone (\(Client.describe(cause))); waiting for it to come back")
        let start = ProcessContext.monotonicNow
        let end = start + patience
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
                guard Self.isInterruption(error) else { throw error }
                guard ProcessContext.monotonicNow + pause < end else { throw cause }
            }
            try await Task.sleep(for: pause, clock: .suspending)
            let isRecent = ProcessContext.monotonicNow - start < Self.promptTime
            pause = min(pause * 2, isRecent ? .milliseconds(500) : .seconds(5))
        }
    }
}

/// The way to the laptop that was found last.
private final class LatestReached: Sendable {
    private let state: Mutex<TransferRun.Reached>

    init(_ reached: TransferRun.Reached) { state = Mutex(reached) }

    var reached: TransferRun.Reached { state.withLock { $0 } }

    func note(_ reached: TransferRun.Reached) { state.withLock { $0 = reached } }
}
