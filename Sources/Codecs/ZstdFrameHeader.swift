// SPDX-License-Identifier: MIT

/// What a zstd frame header states about its frame (RFC 8878, section 3.1.1.1).
///
/// Parsed here and not by libzstd, because one-shot decoding heeds no window limit (`ZSTD_d_windowLogMax` binds the
/// streaming decoder alone), and because old formats and skippable frames have to be refused.
struct ZstdFrameHeader {
    /// The largest window that a frame may ask for, as a power of two: 8 MiB, as in RFC 9659.
    static let maximumWindowLog: Int32 = 23

    /// The number of raw bytes, if the header states it.
    let contentByteCount: UInt64?

    /// Reads the header at the beginning of `payload`.
    ///
    /// - Throws: `badPayload` if it is truncated or begins no zstd frame; `unsupported` for a skippable frame, a
    ///   dictionary or a reserved bit; `windowTooLarge`.
    init(parsing payload: RawSpan) throws(CodecError) {
        let magic = try Self.integer(UInt32.self, at: 0, of: payload)
        guard magic & 0xFFFF_FFF0 != 0x184D_2A50 else {
            throw CodecError(.unsupported, "zstd payload begins with a skippable frame")
        }
        guard magic == 0xFD2F_B528 else { throw CodecError(.badPayload, "no zstd frame begins here") }

        let descriptor = try Self.integer(UInt8.self, at: 4, of: payload)
        guard descriptor & 0b0000_1000 == 0 else {
            throw CodecError(.unsupported, "zstd frame header has its reserved bit set")
        }
        guard descriptor & 0b0000_0011 == 0 else { throw CodecError(.unsupported, "zstd frame needs a dictionary") }
        let isSingleSegment = descriptor & 0b0010_0000 != 0
        var position = 5
        var windowByteCount: UInt64 = 0
        if !isSingleSegment {
            let window = try Self.integer(UInt8.self, at: position, of: payload)
            let base = UInt64(1) << (10 + (window >> 3))
            windowByteCount = base + base / 8 * UInt64(window & 7)
            position += 1
        }
        switch descriptor >> 6 {
        case 0 where isSingleSegment:
            contentByteCount = UInt64(try Self.integer(UInt8.self, at: position, of: payload))
        case 0:
            contentByteCount = nil
        case 1:
            contentByteCount = UInt64(try Self.integer(UInt16.self, at: position, of: payload)) + 256
        case 2:
            contentByteCount = UInt64(try Self.integer(UInt32.self, at: position, of: payload))
        default:
            contentByteCount = try Self.integer(UInt64.self, at: position, of: payload)
        }
        // The window of a single segment is its content.
        windowByteCount = max(windowByteCount, isSingleSegment ? contentByteCount ?? 0 : 0)
        guard windowByteCount <= 1 << Self.maximumWindowLog else {
            throw CodecError(.windowTooLarge, "zstd frame asks for a window of \(windowByteCount) bytes")
        }
    }

    private static func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type,
        at offset: Int,
        of payload: RawSpan
    ) throws(CodecError) -> Value {
        guard payload.byteCount - offset >= MemoryLayout<Value>.size else {
            throw CodecError(.badPayload, "zstd frame header is truncated")
        }
        return Value(littleEndian: unsafe payload.unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
