// SPDX-License-Identifier: MIT

private import Archive
private import Descriptors

/// The outbox as people are shown it.
package struct OutboxListing: Sendable {
    package struct Waiting: Sendable {
        package let id: String
        package let item: OutboxItem
        /// The host that is delivering it; nil while it waits.
        package let host: String?
    }

    package struct Done: Sendable {
        package let id: String
        package let result: OutboxResult
    }

    /// In the order of delivery, those being delivered first.
    package private(set) var items: [Waiting] = []
    /// Results, the latest last.
    package private(set) var results: [Done] = []
    /// Ids of files that this version cannot read.
    package private(set) var unreadable: [String] = []

    /// Reads everything; what goes away meanwhile is left out.
    package init(_ outbox: Outbox) throws {
        let claimed = try outbox.open(Outbox.claimedName)
        for claim in try outbox.claims() {
            guard let bytes = try claimed.readSmallFile(claim.name, atMost: OutboxItem.file.limit) else { continue }
            note(claim.item, bytes, host: claim.host)
        }
        let folder = try outbox.open()
        for id in try outbox.waiting() {
            guard let bytes = try folder.readSmallFile(id, atMost: OutboxItem.file.limit) else { continue }
            note(id, bytes, host: nil)
        }
        let done = try outbox.open(Outbox.doneName)
        for id in try done.names().map({ String(decoding: $0, as: UTF8.self) }).filter(Outbox.isItem).sorted() {
            guard let bytes = try done.readSmallFile(id, atMost: OutboxResult.file.limit) else { continue }
            guard let result = OutboxResult(bytes) else {
                unreadable.append(id)
                continue
            }
            results.append(Done(id: id, result: result))
        }
    }

    private mutating func note(_ id: String, _ bytes: [UInt8], host: String?) {
        guard let item = OutboxItem(bytes) else {
            unreadable.append(id)
            return
        }
        items.append(Waiting(id: id, item: item, host: host))
    }
}
