// SPDX-License-Identifier: MIT

import Descriptors

extension Record {
    /// Decodes a batch of whole records, one after the other.
    ///
    /// What a record says on its own is checked here; what it says about others is `ArchiveIndex`'s to check.
    package static func decodeBatch(
        _ bytes: RawSpan,
        _ body: (Record) throws(FormatError) -> Void
    ) throws(FormatError) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            try body(try decode(from: &reader))
        }
    }

    /// Decodes the records that lie whole at the start of `bytes`; returns how many bytes they are.
    static func decodeWhole(in bytes: RawSpan, _ body: (Record) throws(FormatError) -> Void) throws(FormatError) -> Int
    {
        var used = 0
        while used < bytes.byteCount {
            var probe = ByteReader(bytes.extracting(used..<bytes.byteCount))
            let available = probe.remaining
            _ = try probe.u8()
            // At most three bytes of length; a record that is cut off is left to the next call.
            guard available >= 4 || bytes.byteCount - used < 4, let length = try? probe.varint("length"),
                Int(length) <= probe.remaining
            else { break }
            let size = available - probe.remaining + Int(length)
            var reader = ByteReader(bytes.extracting(used..<(used + size)))
            try body(try decode(from: &reader))
            used += size
        }
        return used
    }

    /// Decodes one record, which must lie whole in what is left of the reader.
    package static func decode(from reader: inout ByteReader) throws(FormatError) -> Record {
        guard let kind = Kind(rawValue: try reader.u8()) else { throw FormatError("unknown type of record") }
        let length = try reader.varint("length of a record", atMost: UInt64(ArchiveLimits.recordBytes))
        guard 1 + [UInt8].varintLength(length) + Int(length) <= ArchiveLimits.recordBytes else {
            throw FormatError("a record is longer than 64 KiB")
        }
        var body = ByteReader(try reader.take(Int(length), "a record"))
        let record: Record
        switch kind {
        case .header: record = .header(try decodeHeader(&body))
        case .entry: record = .entry(try EntryRecord(from: &body))
        case .chunks: record = .chunks(try ChunksRecord(from: &body))
        case .retract:
            let entry = try body.entryNumber("entry")
            guard let reason = RetractReason(rawValue: try body.u8()) else { throw FormatError("unknown reason") }
            record = .retract(entry: entry, reason: reason)
        }
        guard body.isAtEnd else { throw FormatError("a record is longer than its fields") }
        return record
    }

    private static func decodeHeader(_ body: inout ByteReader) throws(FormatError) -> ContentChunker.Parameters {
        guard try body.varint("version") == 1 else { throw FormatError("unknown version of the archive") }
        let largest = UInt64(ArchiveLimits.chunkBytes)
        let minimum = Int(try body.varint("minimumChunk", atMost: largest))
        let average = Int(try body.varint("averageChunk", atMost: largest))
        let maximum = Int(try body.varint("maximumChunk", atMost: largest))
        guard let parameters = ContentChunker.Parameters(minimum: minimum, average: average, maximum: maximum) else {
            throw FormatError("the chunk sizes of the header are out of order")
        }
        return parameters
    }
}

extension EntryRecord {
    fileprivate init(from body: inout ByteReader) throws(FormatError) {
        let number = try body.entryNumber("number")
        guard let kind = Kind(rawValue: try body.u8()) else { throw FormatError("unknown kind of entry") }
        let flags = try body.u8()
        guard flags == 0 || (flags == 1 && kind == .file) else { throw FormatError("reserved flags of an entry") }
        let parent = try body.varint("parent", atMost: UInt64(UInt32.max))
        let nameBytes = try body.byteString("name", atMost: ArchiveLimits.nameBytes).copy
        let name: EntryName
        do throws(EntryName.Fault) {
            name = try EntryName(validating: nameBytes)
        } catch {
            throw FormatError(error.rawValue)
        }
        if parent == 0, name.isReserved { throw FormatError(EntryName.Fault.reserved.rawValue) }
        let mode = UInt32(try body.varint("mode", atMost: 0o7777))
        let seconds = try body.svarint("modifiedSeconds")
        let nanoseconds = Int32(try body.varint("modifiedNanoseconds", atMost: 999_999_999))
        let content: Content
        switch kind {
        case .folder: content = .folder
        case .file:
            let size = Int64(try body.varint("size", atMost: UInt64(Int64.max)))
            guard flags == 0 || size == 0 else { throw FormatError("a stream announces no size") }
            content = .file(size: flags == 1 ? nil : size)
        case .symlink:
            let target = try body.text("target", atMost: ArchiveLimits.linkTargetBytes)
            guard !target.isEmpty, !target.utf8.contains(0) else { throw FormatError("the target of a symlink") }
            content = .symlink(target: target)
        case .hardLink: content = .hardLink(to: try body.entryNumber("linkTo"))
        }
        self.init(
            number: number,
            parent: parent == 0 ? nil : UInt32(parent - 1),
            name: name,
            mode: mode,
            modified: Timestamp(seconds: seconds, nanoseconds: nanoseconds),
            content: content
        )
    }
}

extension ChunksRecord {
    fileprivate init(from body: inout ByteReader) throws(FormatError) {
        let entry = try body.entryNumber("entry")
        let flags = try body.u8()
        guard flags <= 1 else { throw FormatError("reserved flags of a chunk list") }
        var items: [Item] = []
        while !body.isAtEnd {
            items.append(try Item(from: &body))
        }
        guard flags == 1 || !items.isEmpty else { throw FormatError("a chunk list without items goes on") }
        self.init(entry: entry, isLast: flags == 1, items: items)
    }
}

extension ChunksRecord.Item {
    init(from reader: inout ByteReader) throws(FormatError) {
        let lengthAndKind = try reader.varint("lengthAndKind")
        let length = lengthAndKind >> 1
        guard length >= 1 else { throw FormatError("an item of a chunk list is empty") }
        if lengthAndKind & 1 == 1 {
            self = .hole(length: Int64(length))
        } else {
            guard length <= ArchiveLimits.chunkBytes else { throw FormatError("a chunk is longer than 4 MiB") }
            self = .chunk(length: Int(length), digest: try reader.digest())
        }
    }
}

extension ByteReader {
    fileprivate mutating func entryNumber(_ field: StaticString) throws(FormatError) -> UInt32 {
        UInt32(try varint(field, atMost: UInt64(UInt32.max) - 1))
    }
}
