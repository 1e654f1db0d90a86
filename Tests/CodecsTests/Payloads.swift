// SPDX-License-Identifier: MIT
import Codecs
import Testing

/// Compresses a whole array; nil where it must be stored.
func compress(_ bytes: [UInt8], with compressor: inout Compressor) throws -> [UInt8]? {
    var output = [UInt8](repeating: 0, count: bytes.count)
    let count = try bytes.withUnsafeBytes { input in
        try output.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            return try compressor.compress(input.bytes, into: &span)
        }
    }
    return count.map { Array(output.prefix($0)) }
}

/// Compresses a whole array that is known to shrink.
func compressed(_ bytes: [UInt8], _ compression: Compression) throws -> [UInt8] {
    var compressor = try Compressor(compression)
    return try #require(try compress(bytes, with: &compressor))
}

/// Decodes a payload into `count` bytes, and requires that the bytes behind them stay untouched.
func decompress(
    _ payload: [UInt8],
    as codec: Codec,
    count: Int,
    with decompressor: inout Decompressor
) throws -> [UInt8] {
    let guardBytes = [UInt8](repeating: 0xA5, count: 4096)
    var output = [UInt8](repeating: 0, count: count) + guardBytes
    defer { #expect(output.suffix(guardBytes.count).elementsEqual(guardBytes), "written beyond the output") }
    try payload.withUnsafeBytes { input in
        try output.withUnsafeMutableBytes { buffer in
            var span = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(count)).mutableBytes
            try decompressor.decompress(input.bytes, as: codec, into: &span)
        }
    }
    return Array(output.prefix(count))
}

/// Decodes a payload with a decompressor of its own.
func decompress(_ payload: [UInt8], as codec: Codec, count: Int) throws -> [UInt8] {
    var decompressor = try Decompressor()
    return try decompress(payload, as: codec, count: count, with: &decompressor)
}

/// The code with which decoding fails, or nil where it succeeds.
func failure(of payload: [UInt8], as codec: Codec, count: Int) throws -> CodecError.Code? {
    do {
        _ = try decompress(payload, as: codec, count: count)
        return nil
    } catch let error as CodecError {
        return error.code
    }
}

/// The digest of an array.
func digest(_ bytes: [UInt8]) throws -> Digest {
    try bytes.withUnsafeBytes { try Digest(of: $0.bytes) }
}
