// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Testing

/// The sentence of the `FormatError` that the call throws, nil when it succeeds; anything else it throws is an issue.
func formatFailure(_ body: () throws -> Void) -> String? {
    do {
        try body()
    } catch let error as FormatError {
        return error.description
    } catch {
        Issue.record(error)
    }
    return nil
}

/// Reads from the beginning of bytes.
func read<Value>(
    _ bytes: [UInt8],
    _ body: (inout ByteReader) throws(FormatError) -> Value
) throws(FormatError) -> Value {
    try bytes.withSpan { (span: RawSpan) throws(FormatError) -> Value in
        var reader = ByteReader(span)
        return try body(&reader)
    }
}

/// All records of a batch.
func records(in bytes: [UInt8]) throws(FormatError) -> [Record] {
    var records: [Record] = []
    try bytes.withSpan { (span: RawSpan) throws(FormatError) in
        try Record.decodeBatch(span) { record throws(FormatError) in records.append(record) }
    }
    return records
}

/// The bytes of records, one after the other.
func encoded(_ records: [Record]) -> [UInt8] {
    var bytes: [UInt8] = []
    for record in records { record.encode(to: &bytes) }
    return bytes
}

/// A name that the test knows to be one.
func name(_ text: String) -> EntryName {
    do throws(EntryName.Fault) {
        return try EntryName(validating: text.utf8)
    } catch {
        fatalError("\(text): \(error.rawValue)")
    }
}

func digest(_ bytes: [UInt8]) -> Digest {
    do throws(CodecError) {
        return try bytes.withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) }
    } catch {
        fatalError(error.description)
    }
}

/// Numbers at which a field of any width may break.
let edges: [UInt64] = [
    0, 1, 1 << 31 - 1, 1 << 31, 1 << 31 + 1, 1 << 32 - 2, 1 << 32 - 1, 1 << 32, 1 << 32 + 1, 1 << 63 - 1, 1 << 63, .max,
]

// MARK: - Records, in short

private let someTime = Timestamp(seconds: 1_600_000_000, nanoseconds: 7)

func entry(
    _ number: UInt32,
    in parent: UInt32? = nil,
    _ text: String,
    _ content: EntryRecord.Content,
    mode: UInt32 = 0o644,
    modified: Timestamp = someTime
) -> Record {
    .entry(
        EntryRecord(
            number: number,
            parent: parent,
            name: name(text),
            mode: mode,
            modified: modified,
            content: content
        )
    )
}

func folder(_ number: UInt32, in parent: UInt32? = nil, _ text: String, mode: UInt32 = 0o755) -> Record {
    entry(number, in: parent, text, .folder, mode: mode)
}

/// A file; without a size a stream.
func file(_ number: UInt32, in parent: UInt32? = nil, _ text: String, _ size: Int64?) -> Record {
    entry(number, in: parent, text, .file(size: size))
}

func list(_ entry: UInt32, _ items: [ChunksRecord.Item], isLast: Bool = true) -> Record {
    .chunks(ChunksRecord(entry: entry, isLast: isLast, items: items))
}

func chunk(_ length: Int) -> ChunksRecord.Item {
    .chunk(length: length, digest: digest([UInt8](repeating: 0, count: length)))
}

func chunk(_ text: String) -> ChunksRecord.Item {
    .chunk(length: text.utf8.count, digest: digest(Array(text.utf8)))
}

let header = Record.header(.standard)
