// SPDX-License-Identifier: MIT

import Codecs
import Testing

struct CompressibilityProbeTests {
    private static let count = 1 << 20

    private func isWorth(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { CompressibilityProbe.isWorthCompressing($0.bytes) }
    }

    private static let random = SampleBytes.noise.make(count)
    private static let text = random.map { UInt8(ascii: "a") + $0 % 23 }

    @Test func `random bytes are not worth it`() {
        #expect(!isWorth(Self.random))
    }

    @Test func `what zstd and zlib made is not worth it, what they were made of is`() throws {
        #expect(isWorth(Self.text))
        for compression in [Compression.zstd(1), .zstd(9), .zlib(6)] {
            let packed = try compressed(Self.text, compression)
            try #require(packed.count >= 128 << 10)
            #expect(!isWorth(packed), "\(compression)")
        }
    }

    @Test func `a little text among random bytes is worth it`() {
        var bytes = Self.random
        bytes.replaceSubrange(300_000..<420_000, with: Self.text.prefix(120_000))
        #expect(isWorth(bytes))
    }

    @Test func `bytes that repeat are worth it, though each value is as frequent as any other`() {
        #expect(isWorth((0..<Self.count).map { UInt8(truncatingIfNeeded: $0) }))
        let block = Array(Self.random.prefix(5_000))
        #expect(isWorth(Array((0..<300).map { _ in block }.joined())))
    }

    @Test func `numbers with random low bytes are worth it`() {
        let bytes: [UInt8] = (0..<(Self.count / 4)).flatMap { index -> [UInt8] in
            [Self.random[index], Self.random[index + 500_000], 0, 0]
        }
        #expect(isWorth(bytes))
    }

    @Test func `few bytes are compressed without asking`() {
        #expect(isWorth(Array(Self.random.prefix(100_000))))
        #expect(isWorth([]))
    }
}
