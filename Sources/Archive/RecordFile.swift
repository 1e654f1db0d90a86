// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// An open file of records, of which single ones are read again by their offset.
final class RecordFile: Sendable {
    /// Bytes of the reads that are tried for one record, which does not say its length.
    private static let reads = [4 << 10, 256 << 10, CheckedLog.batchLimit]

    let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// The record at an offset that a reader of the whole log has handed out; nil where it cannot be read any more.
    func record<Value>(
        at offset: Int64,
        _ decode: (inout ByteReader) throws(FormatError) -> Value
    ) -> Value? {
        for count in Self.reads {
            guard let bytes = try? bytes(count, at: offset) else { return nil }
            let value: Value? = bytes.withSpan { span in
                var reader = ByteReader(span)
                do throws(FormatError) { return try decode(&reader) } catch { return nil }
            }
            if let value { return value }
            guard bytes.count == count else { return nil }
        }
        return nil
    }

    /// Up to `count` bytes, fewer at the end of the file.
    func bytes(_ count: Int, at offset: Int64) throws(SystemError) -> [UInt8] {
        guard count > 0 else { return [] }
        let slab = try Slab(capacity: count)
        let read = try slab.withMutableBytes(0..<count) { (span: inout MutableRawSpan) throws(SystemError) in
            try descriptor.read(into: &span, at: offset)
        }
        return slab.withBytes(0..<read) { $0.copy }
    }

    /// Writes at an offset.
    func write(_ bytes: [UInt8], at offset: Int64) throws(SystemError) {
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try descriptor.writeAll(span, at: offset) }
    }
}
