// SPDX-License-Identifier: MIT
import CZlib

/// The owner of a `z_stream` for decompressing, which decodes one zlib stream per call.
///
/// The `z_stream` lies on the heap, because zlib keeps its address and refuses a stream that has moved.
@safe struct InflateStream: ~Copyable {
    /// The most memory that a stream comes to hold, in bytes: its state, and the 32 KiB window, which zlib makes only
    /// for a stream that fails half-way.
    static let contextByteCount = (32 << 10) + (8 << 10)

    private let stream: UnsafeMutablePointer<z_stream>

    /// Makes a stream that takes the zlib format alone, not gzip (`inflateInit`).
    init() throws(CodecError) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            unsafe stream.deallocate()
            throw status == Z_MEM_ERROR
                ? CodecError(.outOfMemory, "no memory for a zlib decompression stream")
                : CodecError(.libraryFailure, "inflateInit failed with status \(status)")
        }
        unsafe self.stream = stream
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Fills `output` with the content of the one zlib stream that is `payload` (`inflate` with `Z_FINISH`).
    mutating func decompress(_ payload: RawSpan, into output: inout MutableRawSpan) throws(CodecError) {
        let expected = output.byteCount
        guard let payloadCount = UInt32(exactly: payload.byteCount), let outputCount = UInt32(exactly: expected) else {
            throw CodecError(.unsupported, "zlib takes at most 4 GiB at once")
        }
        let stream = unsafe stream
        guard unsafe inflateReset(stream) == Z_OK else { throw CodecError(.libraryFailure, "inflateReset failed") }
        // inflate() refuses a null next_out even where there is nothing to write.
        var nothing: UInt8 = 0
        let status = unsafe withUnsafeMutablePointer(to: &nothing) { nowhere in
            unsafe output.withUnsafeMutableBytes { target in
                unsafe payload.withUnsafeBytes { source in
                    unsafe stream.pointee.next_in = UnsafeMutablePointer(
                        mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    )
                    unsafe stream.pointee.avail_in = payloadCount
                    unsafe stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nowhere
                    unsafe stream.pointee.avail_out = outputCount
                    return unsafe inflate(stream, Z_FINISH)
                }
            }
        }
        let unread = unsafe Int(stream.pointee.avail_in)
        let unfilled = unsafe Int(stream.pointee.avail_out)
        switch status {
        case Z_STREAM_END where unread > 0:
            throw CodecError(.trailingBytes, "\(unread) bytes follow the zlib stream")
        case Z_STREAM_END where unfilled > 0:
            throw .sizeMismatch(.zlib, expected: expected, found: "ends after \(expected - unfilled)")
        case Z_STREAM_END:
            return
        case Z_OK, Z_BUF_ERROR:
            guard unread > 0 else { throw CodecError(.badPayload, "zlib stream is truncated") }
            throw .sizeMismatch(.zlib, expected: expected, found: "goes on after them")
        case Z_NEED_DICT:
            throw CodecError(.unsupported, "zlib stream needs a dictionary")
        case Z_MEM_ERROR:
            throw CodecError(.outOfMemory, "no memory to decompress zlib")
        default:
            throw CodecError(.badPayload, "zlib stream is corrupted")
        }
    }
}
