// SPDX-License-Identifier: MIT

import Descriptors

/// Where the bytes of a chunk can be read again.
package struct ChunkOrigin: Sendable {
    enum File: Sendable {
        case source(WalkedEntry)
        /// Standard input, of which the spool keeps what is not durable.
        case spool(StreamSpool)
    }

    let file: File
    /// Number of the entry that the chunk is announced for.
    package let number: UInt32
    /// In bytes of the file.
    let offset: Int64
}

extension PackedChunk {
    /// Whether its bytes can be had once more.
    package var canBeReadAgain: Bool {
        switch origin?.file {
        case nil: false
        case .source: true
        case .spool(let spool): spool.holds(origin?.offset ?? 0)
        }
    }

    /// It is durable at the laptop: nobody will ask for its bytes again.
    package func letGo() {
        guard let origin, case .spool(let spool) = origin.file else { return }
        spool.letGo(of: origin.offset, digest: digest)
    }
}
