// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors

/// One record of the archive's record stream (`docs/archive-format.md` section 3).
package enum Record: Sendable, Hashable {
    case header(ContentChunker.Parameters)
    case entry(EntryRecord)
    case chunks(ChunksRecord)
    case retract(entry: UInt32, reason: RetractReason)

    /// The record's type byte.
    package enum Kind: UInt8, Sendable {
        case header = 1
        case entry = 2
        case chunks = 3
        case retract = 4
    }
}

/// ENTRY: something that has a name.
package struct EntryRecord: Sendable, Hashable {
    /// Greater than the number of the entry before it.
    package var number: UInt32
    /// Number of the folder that holds it; nil for a top-level name.
    package var parent: UInt32?
    package var name: EntryName
    /// Permission bits of the source, at most 0o7777.
    package var mode: UInt32
    package var modified: Timestamp
    package var content: Content

    package enum Content: Sendable, Hashable {
        case folder
        /// `size` in bytes with holes; nil where it was not known when the record was written (flag `stream`).
        case file(size: Int64?)
        case symlink(target: String)
        case hardLink(to: UInt32)
    }

    /// The kind byte.
    package enum Kind: UInt8, Sendable {
        case folder = 1
        case file = 2
        case symlink = 3
        case hardLink = 4
    }

    package init(
        number: UInt32,
        parent: UInt32?,
        name: EntryName,
        mode: UInt32,
        modified: Timestamp,
        content: Content
    ) {
        self.number = number
        self.parent = parent
        self.name = name
        self.mode = mode
        self.modified = modified
        self.content = content
    }
}

/// CHUNKS: a stretch of one file's chunk list.
package struct ChunksRecord: Sendable, Hashable {
    package var entry: UInt32
    package var isLast: Bool
    package var items: [Item]

    package enum Item: Sendable, Hashable {
        /// 1 byte to 4 MiB.
        case chunk(length: Int, digest: Digest)
        /// At least one byte that is not stored.
        case hole(length: Int64)

        /// Bytes of the file that the item stands for.
        package var length: Int64 {
            switch self {
            case .chunk(let length, _): Int64(length)
            case .hole(let length): length
            }
        }
    }

    package init(entry: UInt32, isLast: Bool, items: [Item]) {
        self.entry = entry
        self.isLast = isLast
        self.items = items
    }
}

/// Why an entry was taken back.
package enum RetractReason: UInt8, Sendable {
    case changed = 1
    case unreadable = 2
    case vanished = 3
}
