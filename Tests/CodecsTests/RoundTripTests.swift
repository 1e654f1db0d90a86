// SPDX-License-Identifier: MIT
import Codecs
import Testing

@Suite("A payload")
struct RoundTripTests {
    static let compressions: [Compression] =
        [.stored, .zlib(1), .zlib(6), .zlib(9)] + [-7, -1, 1, 3, 9, 15, 19, 22].map { .zstd($0) }

    static let sizes = [0, 1, 2, 3, 8, 255, 256, 257, 4096, 65_535, 65_537, 131_073, 1 << 20, 4 << 20]

    @Test func `the level can change behind a payload that did not shrink`() throws {
        var compressor = try Compressor(.zstd(1))
        let noise = SampleBytes.noise.make(200_000)
        let text = SampleBytes.text.make(200_000)
        for level in [9, -7, 3, 1] {
            #expect(try compress(noise, with: &compressor) == nil)
            try compressor.select(.zstd(level))
            let payload = try #require(try compress(text, with: &compressor))
            #expect(try decompress(payload, as: .zstd, count: text.count) == text)
        }
        compressor.releaseContexts()
        #expect(compressor.contextByteCount == 0)
        try compressor.select(.zstd(3))
        #expect(try compress(text, with: &compressor) != nil)
    }

    @Test("comes back as it was, through contexts that are kept", arguments: compressions)
    func comesBack(compression: Compression) throws {
        var compressor = try Compressor(compression)
        var decompressor = try Decompressor()
        for content in SampleBytes.allCases {
            for size in Self.sizes {
                let bytes = content.make(size)
                let payload = try compress(bytes, with: &compressor)
                if let payload {
                    #expect(payload.count < size)
                    let found = try decompress(payload, as: compression.codec, count: size, with: &decompressor)
                    #expect(found == bytes, "\(content) of \(size) bytes at \(compression)")
                }
                let mustShrink = compression.codec != .stored && content != .noise && size >= 255
                let cannotShrink = compression.codec == .stored || content == .noise || size < 8
                #expect(payload != nil || !mustShrink, "\(content) of \(size) bytes at \(compression) did not shrink")
                #expect(payload == nil || !cannotShrink, "\(content) of \(size) bytes at \(compression) shrank")
            }
        }
    }

    @Test("of the stored codec is the bytes themselves", arguments: sizes)
    func stored(size: Int) throws {
        let bytes = SampleBytes.noise.make(size)
        #expect(try decompress(bytes, as: .stored, count: size) == bytes)
    }

    @Test("that would not shrink is to be stored, however large the output", arguments: compressions)
    func doesNotShrink(compression: Compression) throws {
        let bytes = SampleBytes.noise.make(10_000)
        var compressor = try Compressor(compression)
        var output = [UInt8](repeating: 0, count: 2 * bytes.count)
        let count = try bytes.withUnsafeBytes { input in
            try output.withUnsafeMutableBytes { buffer in
                var span = buffer.mutableBytes
                return try compressor.compress(input.bytes, into: &span)
            }
        }
        #expect(count == nil)
    }

    @Test("that does not fit into the output is to be stored", arguments: [Compression.zlib(), .zstd()])
    func doesNotFit(compression: Compression) throws {
        let bytes = SampleBytes.text.make(10_000)
        let whole = try compressed(bytes, compression)
        var compressor = try Compressor(compression)
        // The encoder of zstd wants a few bytes of slack; what must hold is that it never takes more than it was given.
        for room in [0, 1, whole.count - 1, whole.count + 64] {
            var output = [UInt8](repeating: 0xA5, count: whole.count + 128)
            let count = try bytes.withUnsafeBytes { input in
                try output.withUnsafeMutableBytes { buffer in
                    var span = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(room)).mutableBytes
                    return try compressor.compress(input.bytes, into: &span)
                }
            }
            #expect(count == (room > whole.count ? whole.count : nil))
            #expect(output.dropFirst(room).allSatisfy { $0 == 0xA5 }, "written beyond the output")
        }
    }

    @Test("is coded as the last selection says")
    func followsSelection() throws {
        let bytes = SampleBytes.text.make(100_000)
        var compressor = try Compressor(.stored)
        #expect(compressor.contextByteCount == 0)
        let steps: [Compression] = [.zstd(1), .zlib(1), .zlib(9), .stored, .zlib(9), .zstd(19), .stored, .zstd(-7)]
        for step in steps {
            try compressor.select(step)
            #expect(compressor.compression == step)
            let payload = try compress(bytes, with: &compressor)
            let expected = step == .stored ? nil : try compressed(bytes, step)
            #expect(payload == expected, "after selecting \(step)")
        }
    }

    @Test("costs the memory of one codec's context at a time")
    func releasesTheOtherContext() throws {
        let bytes = SampleBytes.text.make(1 << 20)
        var compressor = try Compressor(.zstd(9))
        _ = try compress(bytes, with: &compressor)
        let zstd = compressor.contextByteCount
        #expect(zstd > 1 << 20)
        try compressor.select(.stored)
        #expect(compressor.contextByteCount == zstd)
        try compressor.select(.zlib(6))
        #expect(compressor.contextByteCount < 1 << 20)
        #expect(compressor.contextByteCount > 0)
    }

    @Test("of zstd has content size, neither checksum nor dictionary", arguments: [-7, 3, 19])
    func zstdHeader(level: Int) throws {
        let bytes = SampleBytes.text.make(100_000)
        let payload = try compressed(bytes, .zstd(level))
        // One segment, a content size of four bytes, no checksum, no dictionary.
        #expect(payload[4] == 0b1010_0000)
        #expect(Array(payload[5..<9]) == littleEndian(100_000))
    }

    @Test("of more than 8 MiB asks for a window of at most 8 MiB at every level", arguments: [1, 9, 19, 20, 21, 22])
    func capsWindow(level: Int) throws {
        let bytes = SampleBytes.zeros.make(16 << 20 + 1)
        let payload = try compressed(bytes, .zstd(level))
        #expect(try decompress(payload, as: .zstd, count: bytes.count) == bytes)
    }

    /// `hello hello hello hello` as written by Python's zlib, and by the zstd tool from a pipe: with a checksum and
    /// without a content size.
    static let foreign: [(codec: Codec, payload: [UInt8])] = [
        (
            .zlib,
            [0x78, 0x9C, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40, 0x27, 0x01, 0x68, 0x03, 0x08, 0xB1]
        ),
        (
            .zstd,
            [
                0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x58, 0x65, 0x00, 0x00, 0x30, 0x68, 0x65, 0x6C, 0x6C, 0x6F, 0x20, 0x01,
                0x00, 0x99, 0x4B, 0x11, 0x17, 0x5E, 0xAE, 0x0D,
            ]
        ),
    ]

    @Test("of another writer is decoded, and its checksum is verified", arguments: foreign)
    func foreignWriter(codec: Codec, payload: [UInt8]) throws {
        let text = Array("hello hello hello hello".utf8)
        #expect(try decompress(payload, as: codec, count: text.count) == text)
        var damaged = payload
        damaged[payload.count - 1] ^= 1
        #expect(try failure(of: damaged, as: codec, count: text.count) == .badPayload)
    }
}
