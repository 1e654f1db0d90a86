// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// The file format shared by receipts, journals and publications: a header, then batches of records with a digest each
/// (`docs/archive-format.md` sections 8 and 9).
///
/// A log that ends inside a batch, or whose batch does not match its digest, counts up to there: it survives being cut
/// at any byte.
struct CheckedLog: Sendable {
    /// Bytes before the records of a batch: their length and digest.
    static let batchHeaderBytes = 4 + Digest.byteCount
    /// Bytes of a batch that a reader takes; a longer one counts as damage.
    static let batchLimit = 64 << 20

    /// Eight ASCII letters.
    let magic: String
    let version: UInt32

    var header: [UInt8] {
        var bytes = Array(magic.utf8)
        bytes.append(u32: version)
        return bytes
    }

    /// Appends one batch to `output`.
    func encode(batch: [UInt8], to output: inout [UInt8]) throws(CodecError) {
        let digest = try batch.withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) }
        output.append(u32: UInt32(batch.count))
        output.append(digest: digest)
        output.append(contentsOf: batch)
    }
}

/// Reads the batches of a log, one after the other, holding one of them.
struct LogReader {
    private let file: RecordFile
    private let size: Int64
    /// Bytes up to the end of the last good batch; 0 where there is no header.
    private(set) var validBytes: Int64 = 0
    /// A version that this one cannot read: nothing is known, and nothing may be written.
    private(set) var isForeign = false

    /// Reads the header of a file, which may be empty.
    init(_ file: RecordFile, as log: CheckedLog) throws(SystemError) {
        self.file = file
        size = try file.descriptor.status().size
        let header = log.header
        let found = try file.bytes(header.count, at: 0)
        guard found.count == header.count, found.starts(with: log.magic.utf8) else { return }
        guard found == header else {
            isForeign = true
            return
        }
        validBytes = Int64(header.count)
    }

    /// The records of the next good batch and where they begin; nil at the end or at the first damage.
    mutating func next() throws(SystemError) -> (records: [UInt8], offset: Int64)? {
        guard validBytes > 0, validBytes < size else { return nil }
        let begin = try file.bytes(CheckedLog.batchHeaderBytes, at: validBytes)
        let offset = validBytes + Int64(CheckedLog.batchHeaderBytes)
        let announced = begin.withSpan { span -> (length: Int, digest: Digest)? in
            var reader = ByteReader(span)
            guard let length = try? reader.u32(), let digest = try? reader.digest() else { return nil }
            return (Int(length), digest)
        }
        guard let announced, announced.length <= CheckedLog.batchLimit, offset + Int64(announced.length) <= size
        else { return nil }
        let records = try file.bytes(announced.length, at: offset)
        guard records.count == announced.length,
            records.withSpan({ try? Digest(of: $0) }) == announced.digest
        else { return nil }
        validBytes = offset + Int64(records.count)
        return (records, offset)
    }

    /// Hands out every record of the good batches with its offset in the file; `record` reads one.
    ///
    /// A batch whose records cannot be read ends the log, like a damaged one.
    mutating func readAll(
        _ record: (inout ByteReader, Int64) throws(FormatError) -> Void
    ) throws(SystemError) {
        while true {
            let begin = validBytes
            guard let batch = try next() else { return }
            let isReadable = batch.records.withSpan { span in
                var reader = ByteReader(span)
                while !reader.isAtEnd {
                    let offset = batch.offset + Int64(span.byteCount - reader.remaining)
                    do throws(FormatError) { try record(&reader, offset) } catch { return false }
                }
                return true
            }
            guard isReadable else {
                validBytes = begin
                return
            }
        }
    }
}
