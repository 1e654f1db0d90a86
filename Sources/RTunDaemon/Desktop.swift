// SPDX-License-Identifier: MIT

private import Descriptors
private import NIOCore
import NIOPosix
private import Synchronization
private import Transfer

/// The worker's way to the user's desktop: asks the process of `DesktopService`, which runs the programs.
///
/// The worker itself starts no program once it talks to peers. Without that process, or when it has died, nothing is
/// opened or shown, and everything else goes on.
package final class Desktop: Sendable {
    /// Requests that wait for an answer; more are not asked.
    private static let waitingLimit = 64
    /// Seconds after which an answer is not waited for any more: every program is ended before.
    private static let patience: Duration = .seconds(30)

    private struct State {
        var connection: SocketConnection?
        var waiting: [UInt64: CheckedContinuation<DesktopAnswer?, Never>] = [:]
        var nextNumber: UInt64 = 1
    }

    private let state = Mutex(State())

    /// A desktop on which nothing can be opened or shown.
    package init() {}

    /// Whether there is a process that can be asked.
    var isAlive: Bool { state.withLock { $0.connection != nil } }

    /// Takes over the link of a process that has just been started.
    func connect(to process: DesktopProcess, on group: MultiThreadedEventLoopGroup) async throws {
        guard let end = process.takeLink() else { return }
        let connection = try await SocketConnection.adopting(end, on: group)
        state.withLock { $0.connection = connection }
    }

    /// Takes answers until the process is gone, or `close` is called.
    func serve() async {
        guard let connection = state.withLock({ $0.connection }) else { return }
        var link = DesktopLink(connection)
        // What it says wrongly ends the link as its death does.
        while let bytes = try? await link.next(), let (number, answer) = try? DesktopAnswer.decode(bytes) {
            finish(number, answer)
        }
        close()
    }

    /// Ends the link, and with it the process and what it waits for.
    func close() {
        let (connection, waiting) = state.withLock { state in
            defer {
                state.connection = nil
                state.waiting = [:]
            }
            return (state.connection, state.waiting)
        }
        connection?.close()
        for continuation in waiting.values { continuation.resume(returning: nil) }
    }

    // MARK: - Requests

    /// Opens a file that stands in the view folder of an inbox.
    func open(_ path: String) async -> Opener.Outcome {
        guard case .opened(let outcome) = await ask(.open(path)) else { return .unavailable(reason: Self.absence) }
        return outcome
    }

    /// Puts a file of the view folder under quarantine where the platform knows that.
    func mark(_ path: String) async { _ = await ask(.mark(path)) }

    /// Shows a notice, in place of an earlier one where it has its number.
    func show(_ notice: DesktopNotice, replacing number: UInt32?) async -> Notifier.Outcome {
        guard case .shown(let outcome) = await ask(.show(notice, replacing: number)) else {
            return .unavailable(reason: Self.absence)
        }
        return outcome
    }

    /// Shows a notice with a button that opens a folder of an inbox; does not wait for the user.
    func offer(_ notice: DesktopNotice, folder: String) async { await tell(.offer(notice, folder: folder)) }

    /// Keeps the machine awake until as many transfers have ended as have begun.
    func transferBegan() async { await tell(.transferBegan) }
    func transferEnded() async { await tell(.transferEnded) }

    private static let absence = "the process that runs the desktop's programs does not answer"

    private func tell(_ request: DesktopRequest) async {
        guard let connection = state.withLock({ $0.connection }) else { return }
        // When it is gone there is nothing to tell.
        try? await DesktopLink(connection).send(request.message(0))
    }

    private func ask(_ request: DesktopRequest) async -> DesktopAnswer? {
        let number = state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let connection: SocketConnection? = state.withLock { state in
                    guard let connection = state.connection, state.waiting.count < Self.waitingLimit,
                        !Task.isCancelled
                    else { return nil }
                    state.waiting[number] = continuation
                    return connection
                }
                guard let connection else { return continuation.resume(returning: nil) }
                Task {
                    do {
                        try await DesktopLink(connection).send(request.message(number))
                        try await Task.sleep(for: Self.patience, clock: .suspending)
                    } catch {
                        // The link is gone.
                    }
                    finish(number, nil)
                }
            }
        } onCancel: {
            finish(number, nil)
        }
    }

    private func finish(_ number: UInt64, _ answer: DesktopAnswer?) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: answer)
    }
}
