// SPDX-License-Identifier: MIT
import CZstd

/// The owner of a `ZSTD_DCtx`, which decodes one frame per call.
///
/// For its memory see ``Decompressor``.
@safe struct ZstdDecoder: ~Copyable {
    private let context: OpaquePointer

    init() throws(CodecError) {
        guard let context = unsafe ZSTD_createDCtx() else {
            throw CodecError(.outOfMemory, "no memory for a zstd decompression context")
        }
        unsafe self.context = context
    }

    deinit {
        unsafe ZSTD_freeDCtx(context)
    }

    /// The heap memory that the context holds at this moment, in bytes.
    var contextByteCount: Int {
        unsafe ZSTD_sizeof_DCtx(context)
    }

    /// Fills `output` with the content of the one frame that is `payload` (`ZSTD_decompressDCtx`).
    mutating func decompress(_ payload: RawSpan, into output: inout MutableRawSpan) throws(CodecError) {
        let expected = output.byteCount
        let header = try ZstdFrameHeader(parsing: payload)
        if let stated = header.contentByteCount, stated != UInt64(expected) {
            throw .sizeMismatch(.zstd, expected: expected, found: "its header says \(stated)")
        }
        try requireOneFrame(payload)
        let result = unsafe output.withUnsafeMutableBytes { target in
            unsafe payload.withUnsafeBytes { source in
                unsafe ZSTD_decompressDCtx(context, target.baseAddress, target.count, source.baseAddress, source.count)
            }
        }
        switch ZstdFailure.code(of: result) {
        case nil where result == expected: return
        case nil: throw .sizeMismatch(.zstd, expected: expected, found: "ends after \(result)")
        case ZstdFailure.outputTooSmall: throw .sizeMismatch(.zstd, expected: expected, found: "goes on after them")
        case ZstdFailure.outOfMemory: throw CodecError(.outOfMemory, "no memory to decompress zstd")
        default: throw CodecError(.badPayload, "zstd frame is corrupted: \(ZstdFailure.reason(of: result))")
        }
    }

    /// Requires that the first frame, whose blocks are skipped from header to header, is the whole payload.
    ///
    /// `ZSTD_decompressDCtx` alone would decode any number of frames and skip the skippable ones.
    private func requireOneFrame(_ payload: RawSpan) throws(CodecError) {
        let result = unsafe payload.withUnsafeBytes { source in
            unsafe ZSTD_findFrameCompressedSize(source.baseAddress, source.count)
        }
        guard ZstdFailure.code(of: result) == nil else {
            throw CodecError(.badPayload, "zstd frame is truncated or corrupted: \(ZstdFailure.reason(of: result))")
        }
        guard result == payload.byteCount else {
            throw CodecError(.trailingBytes, "\(payload.byteCount - result) bytes follow the zstd frame")
        }
    }
}
