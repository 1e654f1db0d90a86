// SPDX-License-Identifier: MIT

import Transfer

/// `rtun flush --list`: what waits in the outbox, and what became of the rest.
struct OutboxReport {
    let asJSON: Bool

    func show(_ listing: OutboxListing) -> ExitStatus {
        for entry in listing.items {
            if asJSON {
                JSONLine.write(
                    ItemLine(
                        id: entry.id,
                        state: entry.host == nil ? "waiting" : "delivering",
                        sources: entry.item.request.sources,
                        laptop: entry.item.laptop,
                        queued: entry.item.queued
                    )
                )
            } else {
                let state = entry.host.map { "being delivered by \(safe($0))" } ?? "waits"
                let target = entry.item.laptop.map { " for \(safe($0))" } ?? ""
                StandardStream.output.line("\(entry.id)  \(state)\(target)  \(entry.item.request.title)")
            }
        }
        for done in listing.results {
            let result = done.result
            if asJSON {
                JSONLine.write(
                    ResultLine(
                        id: done.id,
                        state: result.status == 0 ? "delivered" : "failed",
                        status: result.status,
                        sources: result.sources,
                        laptop: result.laptop,
                        names: result.names,
                        messages: result.messages,
                        ended: result.ended
                    )
                )
            } else {
                let names = result.names.filter { !$0.isEmpty }.map(safe).joined(separator: ", ")
                let what = result.status == 0 ? "delivered: \(names)" : "ended with \(result.status)"
                StandardStream.output.line("\(done.id)  \(what)")
                for message in result.messages { StandardStream.output.line("    \(safe(message))") }
            }
        }
        for id in listing.unreadable { StandardStream.error.line("rtun: \(id) cannot be read by this version") }
        return .success
    }
}

private struct ItemLine: Encodable {
    var messageType = "item"
    let id: String
    let state: String
    let sources: [String]
    let laptop: String?
    /// Seconds since 1970.
    let queued: UInt64
}

private struct ResultLine: Encodable {
    var messageType = "result"
    let id: String
    let state: String
    let status: Int32
    let sources: [String]
    let laptop: String?
    let names: [String]
    let messages: [String]
    /// Seconds since 1970.
    let ended: UInt64
}
