// SPDX-License-Identifier: MIT
import CZlib

/// The owner of a `z_stream` for compressing, which writes one zlib stream per call.
///
/// The `z_stream` lies on the heap, because zlib keeps its address and refuses a stream that has moved. With zlib's
/// tables the stream holds ``contextByteCount`` bytes, made once.
@safe struct DeflateStream: ~Copyable {
    /// The memory of a stream in bytes: zconf.h's `(1 << (windowBits + 2)) + (1 << (memLevel + 9))` and the state.
    static let contextByteCount = (256 << 10) + (6 << 10)

    /// The level that the stream was made for.
    let level: Int32

    private let stream: UnsafeMutablePointer<z_stream>

    /// Makes a stream of level 1 to 9 (`deflateInit`).
    init(level: Int32) throws(CodecError) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe deflateInit_(stream, level, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            unsafe stream.deallocate()
            throw status == Z_MEM_ERROR
                ? CodecError(.outOfMemory, "no memory for a zlib compression stream")
                : CodecError(.libraryFailure, "deflateInit failed with status \(status)")
        }
        self.level = level
        unsafe self.stream = stream
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Writes `input` as one zlib stream (`deflate` with `Z_FINISH`) to the first `room` bytes of `output`.
    ///
    /// - Returns: The length of the stream, or nil if it does not fit.
    mutating func compress(
        _ input: RawSpan,
        into output: inout MutableRawSpan,
        room: Int
    ) throws(CodecError) -> Int? {
        guard let inputCount = UInt32(exactly: input.byteCount) else {
            throw CodecError(.unsupported, "zlib takes at most 4 GiB at once")
        }
        let stream = unsafe stream
        guard unsafe deflateReset(stream) == Z_OK else { throw CodecError(.libraryFailure, "deflateReset failed") }
        let status = unsafe output.withUnsafeMutableBytes { target in
            unsafe input.withUnsafeBytes { source in
                unsafe stream.pointee.next_in = UnsafeMutablePointer(
                    mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self)
                )
                unsafe stream.pointee.avail_in = inputCount
                unsafe stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
                unsafe stream.pointee.avail_out = UInt32(room)
                return unsafe deflate(stream, Z_FINISH)
            }
        }
        switch status {
        case Z_STREAM_END: return unsafe room - Int(stream.pointee.avail_out)
        case Z_OK, Z_BUF_ERROR: return nil
        default: throw CodecError(.libraryFailure, "deflate failed with status \(status)")
        }
    }
}
