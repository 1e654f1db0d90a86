// SPDX-License-Identifier: MIT

import RTunDaemon
import Transfer

/// `rtun send --list`: the unfinished sends of this home, the latest first.
struct SendListing {
    let asJSON: Bool

    func show() throws -> ExitStatus {
        for send in try UnfinishedSends(SendStore(in: StateFolder())).sends {
            if asJSON {
                JSONLine.write(
                    UnfinishedLine(
                        id: send.id,
                        sources: send.request.sources,
                        laptop: send.laptop,
                        began: send.progress?.began ?? 0,
                        bytesDone: send.progress?.durable ?? 0
                    )
                )
            } else {
                let done = ByteFormat.size(send.progress?.durable ?? 0)
                StandardStream.output.line("\(send.id)  \(done) at \(safe(send.laptop))  \(send.request.title)")
            }
        }
        return .success
    }
}

private struct UnfinishedLine: Encodable {
    var messageType = "unfinished"
    let id: String
    let sources: [String]
    let laptop: String
    /// Seconds since 1970.
    let began: UInt64
    let bytesDone: UInt64
}
