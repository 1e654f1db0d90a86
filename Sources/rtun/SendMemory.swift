// SPDX-License-Identifier: MIT

import Descriptors
import Synchronization
import Transfer

/// What this home remembers of a running send, so that another process can go on with it.
///
/// Begins when the laptop is known. A home that cannot be written costs one warning and the resume by another process.
final class SendMemory: Sendable {
    /// Seconds between two notes of how far it is.
    private static let interval: Duration = .seconds(30)

    private struct State {
        var inbox: [UInt8]?
        var laptop = ""
        var folder: SendFolder?
        var durable: UInt64 = 0
        var renewals: UInt64 = 0
        var hasWarned = false
        var renewal: Task<Void, Never>?
    }

    let request: SendRequest
    private let report: SendReport
    private let state: Mutex<State>

    /// `inbox` is where the send began, nil where it begins now.
    init(_ request: SendRequest, beganAt inbox: [UInt8]? = nil, laptop: String = "", report: SendReport) {
        self.request = request
        self.report = report
        state = Mutex(State(inbox: inbox, laptop: laptop))
    }

    deinit {
        state.withLock { $0.renewal?.cancel() }
    }

    /// The folder for what else is remembered of this send; nil before the first contact, or where nothing can be kept.
    var directory: Directory? { state.withLock { $0.folder?.directory } }

    /// Whether the laptop matters already: a send goes on where it began.
    var isBound: Bool { state.withLock { $0.inbox != nil } }

    /// Throws `NoTunnel` where this is not the laptop where the send began.
    func check(_ welcome: Welcome) throws {
        let (inbox, laptop) = state.withLock { ($0.inbox, $0.laptop) }
        guard let inbox, inbox != welcome.inbox else { return }
        let owner = laptop.isEmpty ? "another laptop" : "the laptop \(safe(laptop))"
        throw NoTunnel(
            description: "this send belongs to \(owner), and the tunnel leads to \(safe(welcome.displayName))"
        )
    }

    /// The send begins, or goes on after an interruption.
    func begin(at welcome: Welcome) {
        let isFirst = state.withLock { state in
            state.inbox = welcome.inbox
            state.laptop = welcome.displayName
            return state.folder == nil && !state.hasWarned
        }
        guard isFirst else { return }
        do {
            let store = try SendStore(in: StateFolder())
            let folder = try store.open(request, inbox: welcome.inbox, laptop: welcome.displayName)
            state.withLock { $0.folder = folder }
        } catch {
            state.withLock { $0.hasWarned = true }
            report.note("only this process can go on with the send: \(Client.describe(error))")
            return
        }
        let renewal = Task { [weak self] in
            while !Task.isCancelled {
                do { try await Task.sleep(for: Self.interval, clock: .suspending) } catch { return }
                guard let self else { return }
                self.note()
            }
        }
        state.withLock { $0.renewal = renewal }
    }

    /// Bytes that are durable by now, for the next note.
    func update(durable: UInt64) {
        state.withLock { $0.durable = max($0.durable, durable) }
    }

    /// The send ended early: writes down what is known of it, and says how to go on.
    func interrupt() -> String? {
        state.withLock { $0.renewal?.cancel() }
        note()
        return state.withLock { $0.folder }.map { "to go on: rtun send --resume \($0.id)" }
    }

    /// The send is delivered.
    func finish() {
        let folder = state.withLock { state in
            state.renewal?.cancel()
            return state.folder
        }
        // It is delivered either way; what stays is listed as unfinished until it is sent again or forgotten.
        try? folder?.finish()
    }

    private func note() {
        let (folder, durable, renewal) = state.withLock { state in
            state.renewals += 1
            return (state.folder, state.durable, state.renewals)
        }
        // The home may be full or gone for a while: the send does not depend on it.
        try? folder?.note(durable: durable, renewal: renewal)
    }
}
