// SPDX-License-Identifier: MIT

private import Descriptors

extension Record {
    /// Appends the record's bytes: type, length, body.
    package func encode(to output: inout [UInt8]) {
        var body: [UInt8] = []
        body.reserveCapacity(128)
        let kind: Kind
        switch self {
        case .header(let parameters):
            kind = .header
            body.append(varint: 1)
            body.append(varint: UInt64(parameters.minimum))
            body.append(varint: UInt64(parameters.average))
            body.append(varint: UInt64(parameters.maximum))
        case .entry(let entry):
            kind = .entry
            entry.encode(to: &body)
        case .chunks(let chunks):
            kind = .chunks
            chunks.encode(to: &body)
        case .retract(let entry, let reason):
            kind = .retract
            body.append(varint: UInt64(entry))
            body.append(reason.rawValue)
        }
        output.append(kind.rawValue)
        output.append(byteString: body)
    }
}

extension EntryRecord {
    fileprivate func encode(to body: inout [UInt8]) {
        let kind: Kind
        var flags: UInt8 = 0
        switch content {
        case .folder: kind = .folder
        case .file(let size):
            kind = .file
            flags = size == nil ? 1 : 0
        case .symlink: kind = .symlink
        case .hardLink: kind = .hardLink
        }
        body.append(varint: UInt64(number))
        body.append(kind.rawValue)
        body.append(flags)
        body.append(varint: parent.map { UInt64($0) + 1 } ?? 0)
        body.append(text: name.text)
        body.append(varint: UInt64(mode))
        body.append(svarint: modified.seconds)
        body.append(varint: UInt64(modified.nanoseconds))
        switch content {
        case .folder: break
        case .file(let size): body.append(varint: UInt64(size ?? 0))
        case .symlink(let target): body.append(text: target)
        case .hardLink(let number): body.append(varint: UInt64(number))
        }
    }
}

extension ChunksRecord {
    /// Items that are sure to fit one record.
    package static let itemsPerRecord = 1_024

    fileprivate func encode(to body: inout [UInt8]) {
        body.append(varint: UInt64(entry))
        body.append(isLast ? 1 : 0)
        for item in items { item.encode(to: &body) }
    }
}

extension ChunksRecord.Item {
    func encode(to output: inout [UInt8]) {
        switch self {
        case .chunk(let length, let digest):
            output.append(varint: UInt64(length) << 1)
            output.append(digest: digest)
        case .hole(let length):
            output.append(varint: UInt64(length) << 1 | 1)
        }
    }
}

/// Whole records, gathered in batches of at most 64 KiB, as RECORDS messages carry them.
package struct RecordBatches: Sendable {
    package struct Batch: Sendable {
        package var bytes: [UInt8] = []
        package var recordCount = 0
    }

    package private(set) var batches: [Batch] = []

    package init() {}

    package mutating func append(_ record: Record) {
        var encoded: [UInt8] = []
        record.encode(to: &encoded)
        precondition(encoded.count <= ArchiveLimits.recordBytes, "a record is built within its limit")
        if batches.isEmpty || batches[batches.count - 1].bytes.count + encoded.count > ArchiveLimits.recordBytes {
            batches.append(Batch())
        }
        batches[batches.count - 1].bytes.append(contentsOf: encoded)
        batches[batches.count - 1].recordCount += 1
    }

    /// A chunk list of any length, cut in as many CHUNKS records as it takes.
    package mutating func append(chunksOf entry: UInt32, items: [ChunksRecord.Item], isLast: Bool) {
        var rest = items[...]
        while rest.count > ChunksRecord.itemsPerRecord {
            append(
                .chunks(
                    ChunksRecord(entry: entry, isLast: false, items: Array(rest.prefix(ChunksRecord.itemsPerRecord)))
                )
            )
            rest = rest.dropFirst(ChunksRecord.itemsPerRecord)
        }
        append(.chunks(ChunksRecord(entry: entry, isLast: isLast, items: Array(rest))))
    }
}
