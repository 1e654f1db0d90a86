// SPDX-License-Identifier: MIT
import CZstd

/// The owner of a `ZSTD_CCtx`, which compresses one frame per call.
///
/// For its memory see ``Compressor``.
@safe struct ZstdEncoder: ~Copyable {
    private let context: OpaquePointer

    init() throws(CodecError) {
        guard let context = unsafe ZSTD_createCCtx() else {
            throw CodecError(.outOfMemory, "no memory for a zstd compression context")
        }
        unsafe self.context = context
    }

    deinit {
        unsafe ZSTD_freeCCtx(context)
    }

    /// The heap memory that the context holds at this moment, in bytes.
    var contextByteCount: Int {
        unsafe ZSTD_sizeof_CCtx(context)
    }

    /// Sets the level of the frames to come; cheap, for it only writes parameters.
    mutating func setLevel(_ level: Int32) throws(CodecError) {
        try set(ZSTD_c_compressionLevel, level)
        // Levels from 20 up ask for 32 to 128 MiB. 0 = what the level itself wants, which is at most 8 MiB below
        // them; stating 8 MiB there would widen the tables of the fast levels and slow them down.
        try set(ZSTD_c_windowLog, level >= 20 ? ZstdFrameHeader.maximumWindowLog : 0)
    }

    /// Writes `input` as one frame (`ZSTD_compress2`), with its content size and without checksum, to the first
    /// `room` bytes of `output`.
    ///
    /// - Returns: The length of the frame, or nil if it does not fit.
    mutating func compress(
        _ input: RawSpan,
        into output: inout MutableRawSpan,
        room: Int
    ) throws(CodecError) -> Int? {
        let result = unsafe output.withUnsafeMutableBytes { target in
            unsafe input.withUnsafeBytes { source in
                unsafe ZSTD_compress2(context, target.baseAddress, room, source.baseAddress, source.count)
            }
        }
        let failure = ZstdFailure.code(of: result)
        // A frame that was broken off still counts as open, and no parameter may change then.
        if failure != nil { unsafe ZSTD_CCtx_reset(context, ZSTD_reset_session_only) }
        switch failure {
        case nil: return result
        case ZstdFailure.outputTooSmall: return nil
        case ZstdFailure.outOfMemory: throw CodecError(.outOfMemory, "no memory to compress with zstd")
        default: throw CodecError(.libraryFailure, "ZSTD_compress2 failed: \(ZstdFailure.reason(of: result))")
        }
    }

    private mutating func set(_ parameter: ZSTD_cParameter, _ value: Int32) throws(CodecError) {
        let result = unsafe ZSTD_CCtx_setParameter(context, parameter, value)
        guard ZstdFailure.code(of: result) == nil else {
            throw CodecError(.libraryFailure, "ZSTD_CCtx_setParameter failed: \(ZstdFailure.reason(of: result))")
        }
    }
}
