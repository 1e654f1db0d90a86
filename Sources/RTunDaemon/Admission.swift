// SPDX-License-Identifier: MIT

private import Synchronization

/// Counts connections and says whether one more may stay (`docs/protocol.md` section 6: BUSY).
///
/// Every gate keeps a few connections for itself out of the total, so that no host can shut another one out.
package final class Admission: Sendable {
    /// Connections at once, of all peers.
    package static let total = 128
    /// Connections at once of one party.
    package static let perParty = 32
    /// Of those, what data connections leave free for control, ping, notify and view; and what is kept of the total.
    package static let kept = 4
    /// Of the total, what is kept for gates that do not use it now, however many there are.
    private static let keptInAll = 64
    /// Connections that are being told BUSY, at most.
    private static let farewells = 512

    /// Whose connections are counted together: those of a label's socket, or of one source on the plain socket.
    package enum Party: Sendable, Hashable {
        case host(HostLabel)
        /// By its key; peers that state none are one party.
        case source([UInt8]?)
    }

    /// Connections at once that leave memory behind worth giving back.
    private static let crowd = 16

    private struct State {
        var total = 0
        /// Most of them at once since there were none.
        var most = 0
        var farewells = 0
        /// Gates that listen, and their connections.
        var gates: [Gate: Int] = [.plain: 0]
        var parties: [Party: (all: Int, data: Int)] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// From now on some connections are kept for this gate.
    package func open(_ gate: Gate) {
        state.withLock { $0.gates[gate, default: 0] += 0 }
    }

    /// True if a new connection may stay; then `leave` must be called at its end.
    package func enter(by gate: Gate) -> Bool {
        state.withLock { state in
            let own = state.gates[gate] ?? 0
            if case .host = gate, own >= Self.perParty { return false }
            let share = min(Self.kept, Self.keptInAll / max(1, state.gates.count))
            let kept = state.gates.reduce(0) { $0 + ($1.key == gate ? 0 : max(0, share - $1.value)) }
            guard state.total + kept < Self.total else { return false }
            state.total += 1
            state.most = max(state.most, state.total)
            state.gates[gate] = own + 1
            return true
        }
    }

    /// Ends what `enter(by:)` began; true where that was the last connection of a crowd.
    @discardableResult
    package func leave(by gate: Gate) -> Bool {
        state.withLock { state in
            state.total -= 1
            state.gates[gate]? -= 1
            guard state.total == 0 else { return false }
            defer { state.most = 0 }
            return state.most >= Self.crowd
        }
    }

    /// True if a party that has said who it is may have one connection more; then `leave` must be called at its end.
    package func enter(_ party: Party) -> Bool {
        state.withLock { state in
            let count = state.parties[party] ?? (0, 0)
            guard count.all < Self.perParty else { return false }
            state.parties[party] = (count.all + 1, count.data)
            return true
        }
    }

    package func leave(_ party: Party) {
        state.withLock { state in
            guard let count = state.parties[party] else { return }
            state.parties[party] = count.all > 1 ? (count.all - 1, count.data) : nil
        }
    }

    /// True if a connection of the party, which has entered, may carry data; then `endData` must be called first.
    package func beginData(_ party: Party) -> Bool {
        state.withLock { state in
            guard let count = state.parties[party], count.data < Self.perParty - Self.kept else { return false }
            state.parties[party] = (count.all, count.data + 1)
            return true
        }
    }

    package func endData(_ party: Party) {
        state.withLock { $0.parties[party]?.data -= 1 }
    }

    /// True if there is room to tell one more peer BUSY; then `endFarewell` must be called behind it.
    package func beginFarewell() -> Bool {
        state.withLock { state in
            guard state.farewells < Self.farewells else { return false }
            state.farewells += 1
            return true
        }
    }

    package func endFarewell() {
        state.withLock { $0.farewells -= 1 }
    }
}
