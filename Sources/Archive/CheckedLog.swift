// SPDX-License-Identifier: MIT

import Codecs

/// The file format shared by receipts and journals: a header, then batches of records with a digest each
/// (`docs/archive-format.md` sections 8 and 9).
///
/// A log that ends inside a batch, or whose batch does not match its digest, counts up to there: it survives being cut
/// at any byte.
struct CheckedLog {
    /// Eight ASCII letters.
    let magic: String
    let version: UInt32

    /// What a reader found.
    struct Reading {
        /// Bytes up to the end of the last good batch; 0 where there is no header.
        var validBytes: Int64 = 0
        /// A version that this one cannot read: nothing is known, and nothing may be written.
        var isForeign = false
    }

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

    /// Hands out the records of every good batch; `record` reads one.
    func read(_ bytes: RawSpan, _ record: (inout ByteReader) throws(FormatError) -> Void) -> Reading {
        var reading = Reading()
        var reader = ByteReader(bytes)
        guard (try? reader.take(magic.utf8.count).copy) == Array(magic.utf8), let found = try? reader.u32() else {
            return reading
        }
        guard found == version else {
            reading.isForeign = true
            return reading
        }
        while true {
            reading.validBytes = Int64(bytes.byteCount - reader.remaining)
            guard let length = try? reader.u32(), let digest = try? reader.digest(),
                let batch = try? reader.take(Int(length)), (try? Digest(of: batch)) == digest
            else { return reading }
            var records = ByteReader(batch)
            while !records.isAtEnd {
                do throws(FormatError) { try record(&records) } catch { return reading }
            }
        }
    }
}
