// SPDX-License-Identifier: MIT

/// Compresses independent payloads, one per call, through a context that is kept between calls.
///
/// One `Compressor` serves one worker. A call allocates nothing once the context has grown to its level. Measured with
/// libzstd 1.5.4 and payloads of 4 MiB, a context holds:
///
/// | zstd level | -7...1 | 3   | 5, 6  | 9    | 12   | 15   | 18, 19 | 20, 22 | any level of zlib | stored |
/// |------------|--------|-----|-------|------|------|------|---------|---------|-------------------|--------|
/// | MiB        | 0.6    | 1.3 | 3.5   | 12.5 | 48.5 | 64.5 | 49.3    | 65.3    | 0.26              | 0      |
///
/// ``contextByteCount`` tells what it is at the moment.
package struct Compressor: ~Copyable {
    /// The codec and level of the payloads to come.
    package private(set) var compression: Compression

    /// At most one of the two is present: a selected codec releases the other's context.
    private var zstd: ZstdEncoder?
    private var zlib: DeflateStream?

    /// Makes a compressor and the context that `compression` needs.
    ///
    /// - Throws: `outOfMemory` or `libraryFailure`.
    package init(_ compression: Compression) throws(CodecError) {
        self.compression = .stored
        zstd = nil
        zlib = nil
        try select(compression)
    }

    /// The heap memory of the contexts at this moment, in bytes.
    package var contextByteCount: Int {
        let zlibByteCount = zlib == nil ? 0 : DeflateStream.contextByteCount
        return switch zstd {
        case .none: zlibByteCount
        case .some(let context): zlibByteCount + context.contextByteCount
        }
    }

    /// Changes codec or level for the payloads to come.
    ///
    /// A new zstd level is free; a new zlib level, and the step from one of the two codecs to the other, makes a new
    /// context. `stored` keeps the context there is, because the next step is likely to need it again. After a step
    /// down from a high zstd level, libzstd gives memory back by itself, some 130 payloads later.
    ///
    /// - Throws: `outOfMemory` or `libraryFailure`; the compressor then stays at `stored` until another selection.
    package mutating func select(_ compression: Compression) throws(CodecError) {
        guard compression != self.compression else { return }
        self.compression = .stored
        switch compression.codec {
        case .stored:
            break
        case .zlib:
            zstd = nil
            if zlib?.level != compression.level {
                zlib = nil
                zlib = try DeflateStream(level: compression.level)
            }
        case .zstd:
            zlib = nil
            if zstd == nil { zstd = try ZstdEncoder() }
            try zstd?.setLevel(compression.level)
        }
        self.compression = compression
    }

    /// Gives back the memory of the contexts; `compression` becomes `stored`.
    package mutating func releaseContexts() {
        compression = .stored
        zstd = nil
        zlib = nil
    }

    /// Compresses one independent payload into the beginning of `output`.
    ///
    /// The result is one zstd frame with content size, without checksum and dictionary, with a window of at most
    /// 8 MiB; or one zlib stream. Besides `output.byteCount` the input's own size bounds it, so an `output` as long as
    /// the input serves every case. What lies behind the result in `output` is undefined. (zstd wants some slack: a
    /// result that would fit to the last few bytes may be refused too.)
    ///
    /// - Returns: The number of bytes written, or nil where the result would not be smaller than `input` or does not
    ///   fit into `output`; the payload must then be stored. Always nil for `stored`.
    /// - Throws: `outOfMemory` or `libraryFailure`; with zlib `unsupported` for 4 GiB and more.
    package mutating func compress(
        _ input: RawSpan,
        into output: inout MutableRawSpan
    ) throws(CodecError) -> Int? {
        let room = min(output.byteCount, input.byteCount - 1)
        guard room > 0 else { return nil }
        return switch compression.codec {
        case .stored: nil
        case .zlib: try zlib?.compress(input, into: &output, room: room)
        case .zstd: try zstd?.compress(input, into: &output, room: room)
        }
    }
}

/// Single owner: the type is noncopyable, and each use of its contexts that changes them is a `mutating` call.
extension Compressor: @unchecked Sendable {}
