// SPDX-License-Identifier: MIT

import Codecs
import Descriptors
private import Synchronization

/// An open file of records, of which single ones are read again by their offset.
///
/// What was read last is kept, at two places: records are asked for much in the order in which they were written, but
/// for those that were written again, which stand at the end.
final class RecordFile: Sendable {
    /// Bytes of the reads that are tried for one record, which does not say its length.
    private static let reads = [64 << 10, 256 << 10, CheckedLog.batchLimit]

    private struct Window {
        var offset: Int64 = 0
        var bytes: [UInt8] = []

        func holds(_ position: Int64) -> Bool { position >= offset && position < offset + Int64(bytes.count) }
    }

    let descriptor: OwnedDescriptor
    /// The one that was used last comes first.
    private let windows = Mutex((Window(), Window()))

    init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// The record at an offset that a reader of the whole log has handed out; nil where it cannot be read any more.
    func record<Value>(
        at offset: Int64,
        _ decode: (inout ByteReader) throws(FormatError) -> Value
    ) -> Value? {
        let kept = windows.withLock { windows in
            if !windows.0.holds(offset) { swap(&windows.0, &windows.1) }
            return windows.0
        }
        if kept.holds(offset), let value = Self.value(in: kept.bytes, from: Int(offset - kept.offset), decode) {
            return value
        }
        for count in Self.reads {
            guard let bytes = try? bytes(count, at: offset) else { return nil }
            if count == Self.reads[0] { windows.withLock { $0.0 = Window(offset: offset, bytes: bytes) } }
            if let value = Self.value(in: bytes, from: 0, decode) { return value }
            guard bytes.count == count else { return nil }
        }
        return nil
    }

    private static func value<Value>(
        in bytes: [UInt8],
        from start: Int,
        _ decode: (inout ByteReader) throws(FormatError) -> Value
    ) -> Value? {
        bytes.withSpan { span in
            var reader = ByteReader(span.extracting(start..<span.byteCount))
            do throws(FormatError) { return try decode(&reader) } catch { return nil }
        }
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
        windows.withLock { $0 = (Window(), Window()) }
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try descriptor.writeAll(span, at: offset) }
    }
}
