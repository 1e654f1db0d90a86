// SPDX-License-Identifier: MIT

/// Names a file of a send apart from where its sources lie, in the order in which the walk meets files.
struct FileKey: Sendable, Hashable, Comparable {
    /// Position of the source among those of the send.
    let source: UInt32
    /// Path below the source, `/` before every name; empty for the source itself.
    let path: [UInt8]

    /// Depth first, the names of one folder bytewise: `/` sorts before every byte that a name can hold.
    static func < (left: FileKey, right: FileKey) -> Bool {
        guard left.source == right.source else { return left.source < right.source }
        return left.path.lexicographicallyPrecedes(right.path) { rank($0) < rank($1) }
    }

    private static func rank(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: "/") ? 0 : byte }
}
