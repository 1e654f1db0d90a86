// SPDX-License-Identifier: MIT

import RTunDaemon
import Transfer

/// One unfinished send of this home, as `rtun send --list` and `rtun status` tell it.
struct SendListing: Encodable {
    var messageType = "unfinished"
    let id: String
    let sources: [String]
    let laptop: String
    /// Seconds since 1970.
    let began: UInt64
    let bytesDone: UInt64
    /// As people read it, escaped.
    let line: String

    enum CodingKeys: CodingKey {
        case messageType, id, sources, laptop, began, bytesDone
    }

    init(_ send: RememberedSend) {
        id = send.id
        sources = send.request.sources
        laptop = send.laptop
        began = send.progress?.began ?? 0
        bytesDone = send.progress?.durable ?? 0
        line = "\(send.id)  \(ByteFormat.size(bytesDone)) at \(safe(send.laptop))  \(send.request.title)"
    }

    /// `rtun send --list`: all, the latest first.
    static func show(_ sends: UnfinishedSends, asJSON: Bool) {
        for listing in sends.sends.map(SendListing.init) {
            if asJSON { JSONLine.write(listing) } else { StandardStream.output.line(listing.line) }
        }
    }
}
