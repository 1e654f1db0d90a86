// SPDX-License-Identifier: MIT

import Transfer

/// What waits in the outbox, and what became of the rest, as `rtun flush --list` and `rtun status` tell it.
struct OutboxReport: Encodable {
    let items: [Item]
    let results: [Result]
    /// Ids of files that this version cannot read.
    let unreadable: [String]

    struct Item: Encodable {
        enum State: String, Encodable {
            case waiting, delivering
        }

        var messageType = "item"
        let id: String
        let state: State
        let sources: [String]
        let laptop: String?
        /// Seconds since 1970.
        let queued: UInt64
        /// As people read it, escaped.
        let line: String

        enum CodingKeys: CodingKey {
            case messageType, id, state, sources, laptop, queued
        }
    }

    struct Result: Encodable {
        enum State: String, Encodable {
            case delivered, failed
        }

        var messageType = "result"
        let id: String
        let state: State
        let status: Int32
        let sources: [String]
        let laptop: String?
        let names: [String]
        let messages: [String]
        /// Seconds since 1970.
        let ended: UInt64

        /// As people read it, escaped; what went wrong is indented below it.
        var lines: [String] {
            let arrived = names.filter { !$0.isEmpty }.map(safe).joined(separator: ", ")
            let what = state == .delivered ? "delivered: \(arrived)" : "ended with \(status)"
            return ["\(id)  \(what)"] + messages.map { "    \(safe($0))" }
        }
    }

    init(_ listing: OutboxListing) {
        items = listing.items.map { entry in
            let state = entry.host.map { "being delivered by \(safe($0))" } ?? "waits"
            let target = entry.item.laptop.map { " for \(safe($0))" } ?? ""
            return Item(
                id: entry.id,
                state: entry.host == nil ? .waiting : .delivering,
                sources: entry.item.request.sources,
                laptop: entry.item.laptop,
                queued: entry.item.queued,
                line: "\(entry.id)  \(state)\(target)  \(entry.item.request.title)"
            )
        }
        results = listing.results.map { done in
            Result(
                id: done.id,
                state: done.result.status == 0 ? .delivered : .failed,
                status: done.result.status,
                sources: done.result.sources,
                laptop: done.result.laptop,
                names: done.result.names,
                messages: done.result.messages,
                ended: done.result.ended
            )
        }
        unreadable = listing.unreadable
    }

    /// `rtun flush --list`: everything, one line or object each.
    func show(asJSON: Bool) {
        if asJSON {
            for item in items { JSONLine.write(item) }
            for result in results { JSONLine.write(result) }
        } else {
            for line in items.map({ $0.line }) + results.flatMap({ $0.lines }) { StandardStream.output.line(line) }
        }
        for id in unreadable { StandardStream.error.line("rtun: \(id) cannot be read by this version") }
    }

    /// `rtun status`: what waits, the failures, and how many were delivered; each kind up to `limit`.
    func summary(limit: Int) -> [String] {
        let failed = results.filter { $0.state == .failed }
        var counts = ["\(items.count) queued", "\(results.count - failed.count) delivered", "\(failed.count) failed"]
        if !unreadable.isEmpty { counts.append("\(unreadable.count) not readable by this version") }
        var lines = ["outbox: " + counts.joined(separator: ", ")]
        lines += items.prefix(limit).map { "  " + $0.line }
        // The latest are the ones that somebody asks about.
        lines += failed.suffix(limit).flatMap { $0.lines.map { "  " + $0 } }
        if items.count > limit || failed.count > limit { lines.append("  … all of them: rtun flush --list") }
        return lines
    }
}
