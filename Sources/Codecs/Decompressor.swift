// SPDX-License-Identifier: MIT

/// Decodes independent payloads from an untrusted peer, one per call, through contexts that are kept between calls.
///
/// One `Decompressor` serves one worker. A codec's context is made when its first payload comes: about 94 KiB for
/// zstd, at most 40 KiB for zlib. After that a call allocates nothing.
package struct Decompressor: ~Copyable {
    private var zstd: ZstdDecoder?
    private var zlib: InflateStream?

    /// Makes a decompressor without any context.
    package init() throws(CodecError) {
        zstd = nil
        zlib = nil
    }

    /// The heap memory of the contexts at this moment, in bytes; for zlib an upper bound.
    package var contextByteCount: Int {
        let zlibByteCount = zlib == nil ? 0 : InflateStream.contextByteCount
        return switch zstd {
        case .none: zlibByteCount
        case .some(let context): zlibByteCount + context.contextByteCount
        }
    }

    /// Fills `output` exactly with what `payload` decodes to.
    ///
    /// The payload must be exactly one zstd frame (no skippable frame, no dictionary, a window of at most 8 MiB, and
    /// a content size, if stated, equal to `output.byteCount`), one zlib stream, or the bytes themselves, with nothing
    /// behind it. Nothing is ever written beyond `output`, whatever the payload claims or contains; decoding stops at
    /// the first byte too many. After an error the content of `output` is undefined, and the decompressor is as good
    /// as new.
    ///
    /// - Throws: `badPayload`, `sizeMismatch`, `trailingBytes`, `windowTooLarge` or `unsupported` for what is wrong
    ///   with the payload; `outOfMemory` or `libraryFailure`.
    package mutating func decompress(
        _ payload: RawSpan,
        as codec: Codec,
        into output: inout MutableRawSpan
    ) throws(CodecError) {
        switch codec {
        case .stored:
            let expected = output.byteCount
            guard payload.byteCount == expected else {
                throw .sizeMismatch(.stored, expected: expected, found: "has \(payload.byteCount)")
            }
            unsafe output.withUnsafeMutableBytes { target in
                unsafe payload.withUnsafeBytes { source in unsafe target.copyMemory(from: source) }
            }
        case .zlib:
            if zlib == nil { zlib = try InflateStream() }
            try zlib?.decompress(payload, into: &output)
        case .zstd:
            if zstd == nil { zstd = try ZstdDecoder() }
            try zstd?.decompress(payload, into: &output)
        }
    }
}

/// Single owner: the type is noncopyable, and each use of its contexts that changes them is a `mutating` call.
extension Decompressor: @unchecked Sendable {}
