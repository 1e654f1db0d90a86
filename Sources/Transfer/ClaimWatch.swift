// SPDX-License-Identifier: MIT

import Descriptors

/// A claim as a watcher sees it: who has which item, and when it was last renewed, by the file server's clock.
package struct ClaimSighting: Sendable, Hashable {
    /// In `claimed/`: `<item>.<host>.<random>`.
    package let name: String
    package let item: String
    package let host: String
    let modified: Timestamp
    let changed: Timestamp

    /// Nil for a name that is no claim's.
    init?(name: String, _ status: FileStatus) {
        guard let first = name.firstIndex(of: "."), let last = name.lastIndex(of: "."), first < last,
            Outbox.isItem(String(name[..<first]))
        else { return nil }
        self.name = name
        item = String(name[..<first])
        host = String(name[name.index(after: first)..<last])
        modified = status.modified
        changed = status.changed
    }
}

/// Finds claims whose holders have died: those that did not change for long, by the watcher's own monotonic clock.
///
/// Times of files are compared with one another alone, never with a clock: hosts and file servers disagree about it.
package struct ClaimWatch: Sendable {
    private let patience: Duration
    private var seen: [String: (sighting: ClaimSighting, since: Duration)] = [:]

    package init(patience: Duration) {
        self.patience = patience
    }

    /// Takes note of all claims there are at `now`, and returns those that nobody has renewed for too long.
    package mutating func observe(_ claims: [ClaimSighting], at now: Duration) -> [ClaimSighting] {
        var next: [String: (sighting: ClaimSighting, since: Duration)] = [:]
        for claim in claims {
            let before = seen[claim.name]
            next[claim.name] = before?.sighting == claim ? before : (claim, now)
        }
        seen = next
        return claims.filter { claim in next[claim.name].map { now - $0.since >= patience } ?? false }
    }
}
