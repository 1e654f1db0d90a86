// SPDX-License-Identifier: MIT

import Descriptors

/// What was read of one file: a record of the files cache (`docs/archive-format.md` section 10).
struct FileReading: Sendable, Hashable {
    /// The opened file when it was read.
    var identity: FileIdentity
    /// Seconds since 1970 by this host's clock when this identity was first seen.
    var seen: Int64
    /// Chunks and holes from `offset` on that may be believed while the identity is the same.
    var items: [ChunksRecord.Item] = []
    /// The file ends behind the items.
    var isComplete = false

    /// Bytes of the file before the items: what was read of a new file within its first seconds is not believed.
    var offset: Int64 = 0
    /// Bytes of the file before the end of the items.
    var end: Int64 = 0

    /// Bytes of the file that the items stand for.
    var length: Int64 { end - offset }
}

/// When what was read of a file may be believed later: nobody can have written behind the read without being seen.
///
/// A file system's times tick in steps, so a write right behind the read may leave them as they are. They are past
/// that if they are long gone by this host's clock, or if the same times were seen well before the read.
enum SettlingRule {
    /// Seconds after which times count as past, whatever the clocks of two hosts think of each other.
    static let age: Int64 = 600
    /// Seconds between the first sight of the times and the read.
    static let lead: Int64 = 3

    /// True where bytes that are read at `now`, of a file first seen as it is at `seen`, may be believed later.
    static func isSettled(_ identity: FileIdentity, seen: Int64, now: Int64) -> Bool {
        let newest = max(identity.modified.seconds, identity.changed.seconds)
        return newest < now - age || isEarlier(seen, than: now)
    }

    /// True where a first sight in the second `seen` was early enough for a read in the second `now`.
    static func isEarlier(_ seen: Int64, than now: Int64) -> Bool { seen < now - lead }
}

/// One record: a stretch of one file, as it was read.
struct FileStretch: Sendable {
    let key: FileKey
    let identity: FileIdentity
    let seen: Int64
    /// Bytes of the file before the items.
    let offset: Int64
    let items: [ChunksRecord.Item]
    /// The file ends behind the items.
    let isLast: Bool
    /// The items may be believed later.
    let isSettled: Bool

    func encode(to output: inout [UInt8]) {
        output.append(varint: UInt64(key.source))
        output.append(byteString: key.path)
        identity.encode(to: &output)
        output.append(svarint: seen)
        output.append((isLast ? 1 : 0) | (isSettled ? 2 : 0))
        output.append(varint: UInt64(offset))
        output.append(varint: UInt64(items.count))
        for item in items { item.encode(to: &output) }
    }

    init(
        key: FileKey,
        identity: FileIdentity,
        seen: Int64,
        offset: Int64,
        items: [ChunksRecord.Item],
        isLast: Bool,
        isSettled: Bool
    ) {
        self.key = key
        self.identity = identity
        self.seen = seen
        self.offset = offset
        self.items = items
        self.isLast = isLast
        self.isSettled = isSettled
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        let source = UInt32(try reader.varint("source", atMost: UInt64(UInt32.max)))
        key = FileKey(source: source, path: try reader.byteString("path", atMost: Self.pathLimit).copy)
        identity = try FileIdentity(from: &reader)
        seen = try reader.svarint("seen")
        let flags = try reader.u8()
        isLast = flags & 1 != 0
        isSettled = flags & 2 != 0
        offset = Int64(try reader.varint("offset", atMost: UInt64(Int64.max)))
        let count = try reader.varint("items", atMost: UInt64(reader.remaining))
        var items: [ChunksRecord.Item] = []
        items.reserveCapacity(Int(count))
        for _ in 0..<count { items.append(try ChunksRecord.Item(from: &reader)) }
        self.items = items
    }

    /// Longer than any path that is sent: what lies below a source, with the names of the source's own folders.
    private static let pathLimit = 16 << 10
}
