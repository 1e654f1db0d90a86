// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors

/// An item that this process has taken and is delivering.
///
/// It stays this one's while it is renewed at least every few minutes; who finds that it is not any more stops.
package struct OutboxClaim: Sendable {
    package let id: String
    /// Its name in `claimed/`.
    let name: String
    /// Nil where it is damaged.
    package private(set) var item: OutboxItem?
    let outbox: Outbox

    /// Another process has taken the item over.
    package struct Lost: Error, Sendable, CustomStringConvertible {
        package var description: String { "another process is delivering this item now" }
    }

    /// Shows all watchers that somebody is at it; throws `Lost` where that is no longer this process.
    package func renew() throws {
        do throws(SystemError) {
            try outbox.open(Outbox.claimedName).setModified(.now(), of: name)
        } catch {
            if error.isMissingFile { throw Lost() }
            throw error
        }
    }

    /// Binds the item to the inbox where its delivery begins, durably.
    package mutating func bind(to inbox: [UInt8]) throws {
        guard var bound = item, bound.inbox != inbox else { return }
        bound.inbox = inbox
        try renew()
        try outbox.open(Outbox.claimedName).replaceSmallFile(name, try bound.encode(), synced: true)
        item = bound
    }

    /// Writes down what became of it, and ends the claim.
    package func finish(_ result: OutboxResult) throws {
        let done = try outbox.open(Outbox.doneName)
        try done.replaceSmallFile(id, try result.encode(), synced: true)
        let claimed = try outbox.open(Outbox.claimedName)
        if try claimed.statusIfPresent(name) != nil { try claimed.removeFile(name) }
        let results = try done.names().map { String(decoding: $0, as: UTF8.self) }.filter(Outbox.isItem).sorted()
        for old in results.dropLast(Outbox.keptResults) {
            // Another process may be faster.
            try? done.removeFile(old)
        }
    }

    /// Puts the item back to its place, to be delivered later.
    package func giveBack() throws(SystemError) {
        let claimed = try outbox.open(Outbox.claimedName)
        guard try claimed.statusIfPresent(name) != nil else { return }
        try claimed.renameWithoutReplacing(name, to: id, in: outbox.open())
    }
}
