// SPDX-License-Identifier: MIT

private import Synchronization

/// Counts connections and says whether one more may stay (`docs/protocol.md` section 4: BUSY).
package final class Admission: Sendable {
    /// Connections at once, of all peers.
    package static let limit = 128

    private let count = Mutex(0)

    package init() {}

    /// True if the connection may stay; then `leave` must be called at its end.
    package func enter() -> Bool {
        count.withLock { count in
            guard count < Self.limit else { return false }
            count += 1
            return true
        }
    }

    package func leave() {
        count.withLock { $0 -= 1 }
    }
}
