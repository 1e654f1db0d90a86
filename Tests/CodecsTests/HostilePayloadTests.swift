// SPDX-License-Identifier: MIT
import Codecs
import Testing

@Suite("A hostile payload")
struct HostilePayloadTests {
    static let text = SampleBytes.text.make(1000)
    static let compressions: [Compression] = [.zlib(), .zstd()]

    @Test("that is cut at any byte is refused, and the context works on", arguments: compressions)
    func truncated(compression: Compression) throws {
        let payload = try compressed(Self.text, compression)
        var decompressor = try Decompressor()
        for count in 0..<payload.count {
            let error = #expect(throws: CodecError.self) {
                try decompress(
                    Array(payload.prefix(count)),
                    as: compression.codec,
                    count: Self.text.count,
                    with: &decompressor
                )
            }
            #expect(error?.code == .badPayload, "cut to \(count) bytes")
            let whole = try decompress(
                payload,
                as: compression.codec,
                count: Self.text.count,
                with: &decompressor
            )
            #expect(whole == Self.text)
        }
    }

    @Test("with bytes behind its end is refused", arguments: compressions)
    func trailingBytes(compression: Compression) throws {
        let payload = try compressed(Self.text, compression)
        for trailer in [[0], [0xFF], payload, [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0]] as [[UInt8]] {
            let found = try failure(of: payload + trailer, as: compression.codec, count: Self.text.count)
            #expect(found == .trailingBytes)
        }
    }

    @Test("of two frames that add up to the stated size is refused", arguments: compressions)
    func concatenated(compression: Compression) throws {
        let payload =
            try compressed(Array(Self.text.prefix(500)), compression)
            + compressed(Array(Self.text.dropFirst(500)), compression)
        // A zstd frame states its own size, which is half of what is asked for.
        let expected: CodecError.Code = compression.codec == .zstd ? .sizeMismatch : .trailingBytes
        #expect(try failure(of: payload, as: compression.codec, count: Self.text.count) == expected)
    }

    @Test("of two zstd frames that state no size is refused")
    func concatenatedWithoutSize() throws {
        var frame = ZstdFrame()
        frame.appendRaw([1, 2, 3], isLast: true)
        #expect(try decompress(frame.bytes, as: .zstd, count: 3) == [1, 2, 3])
        #expect(try failure(of: frame.bytes + frame.bytes, as: .zstd, count: 6) == .trailingBytes)
    }

    @Test("that decodes to another size than stated is refused", arguments: compressions, [-1000, -1, 1, 1000])
    func otherSize(compression: Compression, difference: Int) throws {
        let payload = try compressed(Self.text, compression)
        let found = try failure(of: payload, as: compression.codec, count: Self.text.count + difference)
        #expect(found == .sizeMismatch)
    }

    @Test("of a zstd frame without content size that decodes to another size is refused", arguments: [2, 4, 0, 100])
    func otherSizeUnstated(count: Int) throws {
        var frame = ZstdFrame()
        frame.appendRaw([1, 2, 3], isLast: true)
        #expect(try failure(of: frame.bytes, as: .zstd, count: count) == .sizeMismatch)
    }

    @Test("of stored bytes of another size is refused", arguments: [0, 999, 1001])
    func storedSize(count: Int) throws {
        #expect(try failure(of: Self.text, as: .stored, count: count) == .sizeMismatch)
    }

    @Test("with any one bit flipped neither crashes nor writes beyond the output", arguments: compressions)
    func flippedBits(compression: Compression) throws {
        let payload = try compressed(Self.text, compression)
        var decompressor = try Decompressor()
        for bit in 0..<payload.count * 8 {
            var damaged = payload
            damaged[bit / 8] ^= 1 << (bit % 8)
            do {
                _ = try decompress(damaged, as: compression.codec, count: Self.text.count, with: &decompressor)
            } catch is CodecError {}
        }
        let whole = try decompress(payload, as: compression.codec, count: Self.text.count, with: &decompressor)
        #expect(whole == Self.text)
    }

    @Test("of another codec is refused")
    func otherCodec() throws {
        let zlib = try compressed(Self.text, .zlib())
        let zstd = try compressed(Self.text, .zstd())
        #expect(try failure(of: zlib, as: .zstd, count: Self.text.count) == .badPayload)
        #expect(try failure(of: zstd, as: .zlib, count: Self.text.count) == .badPayload)
        let gzip: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        #expect(try failure(of: gzip + zlib.dropFirst(2), as: .zlib, count: Self.text.count) == .badPayload)
    }

    @Test("whose window is beyond 8 MiB is refused")
    func window() throws {
        // 10 bytes that ask for 2 GiB; then the first window above the limit; then the limit.
        let cases: [(UInt8, CodecError.Code?)] = [
            ((31 - 10) << 3, .windowTooLarge), (ZstdFrame.window8MiB + 1, .windowTooLarge), (0xFF, .windowTooLarge),
            (ZstdFrame.window8MiB, nil),
        ]
        for (descriptor, expected) in cases {
            var frame = ZstdFrame(fields: [descriptor])
            frame.appendRaw([7], isLast: true)
            #expect(frame.bytes.count == 10)
            #expect(try failure(of: frame.bytes, as: .zstd, count: 1) == expected)
        }
    }

    @Test("of one segment beyond 8 MiB is refused")
    func singleSegment() throws {
        var frame = ZstdFrame(descriptor: 0b1010_0000, fields: littleEndian(8 << 20 + 1))
        for index in 0...64 { frame.appendRun(of: 0, count: index == 64 ? 1 : 128 << 10, isLast: index == 64) }
        #expect(try failure(of: frame.bytes, as: .zstd, count: 8 << 20 + 1) == .windowTooLarge)
    }

    @Test("that begins with a skippable frame is refused", arguments: UInt32(0)..<16)
    func skippable(variant: UInt32) throws {
        let skippable = littleEndian(0x184D_2A50 + variant) + littleEndian(3) + [1, 2, 3]
        var frame = ZstdFrame()
        frame.appendRaw([7], isLast: true)
        #expect(try failure(of: skippable + frame.bytes, as: .zstd, count: 1) == .unsupported)
        #expect(try failure(of: skippable, as: .zstd, count: 0) == .unsupported)
    }

    @Test("that names a dictionary is refused", arguments: [(UInt8(1), 1), (2, 2), (3, 4)])
    func dictionary(flag: UInt8, length: Int) throws {
        for number in [0, 1] as [UInt8] {
            let name = [number] + [UInt8](repeating: 0, count: length - 1)
            var frame = ZstdFrame(descriptor: flag, fields: [ZstdFrame.window8MiB] + name)
            frame.appendRaw([7], isLast: true)
            #expect(try failure(of: frame.bytes, as: .zstd, count: 1) == .unsupported)
        }
        // zlib's header with FDICT set, and the dictionary's Adler-32.
        #expect(try failure(of: [0x78, 0xBB, 0, 0, 0, 1, 3, 0], as: .zlib, count: 1) == .unsupported)
    }

    @Test("with zstd's reserved header bit is refused, with the unused one decoded")
    func reservedBits() throws {
        var frame = ZstdFrame(descriptor: 0b0000_1000)
        frame.appendRaw([7], isLast: true)
        #expect(try failure(of: frame.bytes, as: .zstd, count: 1) == .unsupported)
        frame.descriptor = 0b0001_0000
        #expect(try decompress(frame.bytes, as: .zstd, count: 1) == [7])
    }

    @Test("of no bytes is valid, and still must be one frame", arguments: [Codec.zlib, .zstd])
    func empty(codec: Codec) throws {
        var frame = ZstdFrame()
        frame.appendRaw([], isLast: true)
        let payload = codec == .zstd ? frame.bytes : [0x78, 0x9C, 3, 0, 0, 0, 0, 1]
        #expect(try decompress(payload, as: codec, count: 0).isEmpty)
        #expect(try failure(of: payload, as: codec, count: 1) == .sizeMismatch)
        #expect(try failure(of: payload + [0], as: codec, count: 0) == .trailingBytes)
        #expect(try failure(of: [], as: codec, count: 0) == .badPayload)
    }

    /// No content size; the true one; a lie of one segment of 4 MiB.
    static let bombHeaders: [(descriptor: UInt8, fields: [UInt8])] = [
        (0, [ZstdFrame.window8MiB]),
        (0b1000_0000, [ZstdFrame.window8MiB] + littleEndian(256 << 20)),
        (0b1010_0000, littleEndian(4 << 20)),
    ]

    @Test("of 8 KiB that unpacks to 256 MiB is refused at the bound, whatever its header says", arguments: bombHeaders)
    func zstdBomb(descriptor: UInt8, fields: [UInt8]) throws {
        let bomb = ZstdFrame.bomb(descriptor: descriptor, fields: fields)
        #expect(bomb.count < 8400)
        #expect(try failure(of: bomb, as: .zstd, count: 4 << 20) == .sizeMismatch)
    }

    @Test("of 32 KiB of zlib that unpacks to 32 MiB is refused at the bound")
    func zlibBomb() throws {
        let bomb = try compressed(SampleBytes.zeros.make(32 << 20), .zlib(9))
        #expect(bomb.count < 33 << 10)
        #expect(try failure(of: bomb, as: .zlib, count: 4 << 20) == .sizeMismatch)
    }

    @Test("is told from others by code and sentence")
    func describesItself() throws {
        let error = #expect(throws: CodecError.self) { try decompress([1, 2], as: .stored, count: 3) }
        #expect(error?.description == "size mismatch: stored payload should decode to 3 bytes, but has 2")
    }
}
