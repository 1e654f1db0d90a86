// SPDX-License-Identifier: MIT

package import Archive
package import Codecs
package import NIOCore

/// RECORDS: a batch of whole records and how they are packed (`docs/protocol.md` section 5.1).
package enum RecordsMessage {
    private static let headerBytes = 8

    /// The message for a batch: compressed where that makes it smaller.
    package static func encode(_ batch: [UInt8], with compressor: inout Compressor, codec: Codec) throws -> ByteBuffer {
        var message = ByteBuffer()
        message.reserveCapacity(16 + batch.count)
        var packed: [UInt8]?
        if codec != .stored, batch.count > 128 {
            packed = try batch.withSpan { (span: RawSpan) throws(CodecError) in
                try compressor.compress(span, capacity: batch.count)
            }
        }
        let payload = packed ?? batch
        message.writeInteger(UInt32(headerBytes + payload.count), endianness: .little)
        message.writeInteger(UInt32(MessageKind.records.rawValue), endianness: .little)
        message.writeInteger(UInt32(packed == nil ? Codec.stored.rawValue : codec.rawValue), endianness: .little)
        message.writeInteger(UInt32(batch.count), endianness: .little)
        message.writeBytes(payload)
        return message
    }

    /// The records of a message's body.
    package static func decode(_ body: ByteBuffer, with decompressor: inout Decompressor) throws -> [UInt8] {
        try body.withReadableSpan { (span: RawSpan) throws in
            var reader = ByteReader(span)
            guard let codec = Codec(rawValue: try reader.u8()) else { throw FormatError("unknown codec") }
            try reader.reserved(3)
            let rawSize = Int(try reader.u32())
            guard (1...ArchiveLimits.recordBytes).contains(rawSize) else { throw FormatError("rawSize of records") }
            let payload = reader.rest()
            try PayloadRule.check(codec, payloadBytes: payload.byteCount, rawBytes: rawSize)
            return try decompressor.decompress(payload, as: codec, count: rawSize)
        }
    }
}

/// The rule that a payload is stored or shorter than what it holds.
package enum PayloadRule {
    package static func check(_ codec: Codec, payloadBytes: Int, rawBytes: Int) throws(FormatError) {
        guard codec == .stored ? payloadBytes == rawBytes : payloadBytes < rawBytes else {
            throw FormatError("a payload of the wrong length")
        }
    }
}

extension Compressor {
    fileprivate mutating func compress(_ input: RawSpan, capacity: Int) throws(CodecError) -> [UInt8]? {
        var output = [UInt8](repeating: 0, count: capacity)
        let count = try output.withMutableSpan { (span: inout MutableRawSpan) throws(CodecError) in
            try compress(input, into: &span)
        }
        guard let count else { return nil }
        output.removeLast(capacity - count)
        return output
    }
}

extension Decompressor {
    fileprivate mutating func decompress(_ payload: RawSpan, as codec: Codec, count: Int) throws(CodecError) -> [UInt8]
    {
        var output = [UInt8](repeating: 0, count: count)
        try output.withMutableSpan { (span: inout MutableRawSpan) throws(CodecError) in
            try decompress(payload, as: codec, into: &span)
        }
        return output
    }
}

extension [UInt8] {
    fileprivate mutating func withMutableSpan<R, E: Error>(
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        let result: Result<R, E> = unsafe withUnsafeMutableBytes { raw in
            var span = unsafe raw.mutableBytes
            do throws(E) { return .success(try body(&span)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
