// SPDX-License-Identifier: MIT

import Codecs
import Testing

@testable import Archive

/// Cuts against a second implementation written from the spec, golden cuts, and the promises about lengths.
struct ContentChunkerTests {
    /// Small lengths, so that a test reads many chunks in few bytes.
    static let small = [(64, 256, 1024), (64, 64, 64), (100, 512, 700), (256, 256, 1024), (64, 1024, 1024)]

    @Test func `the gear table is what the spec derives it from`() throws {
        #expect(GearTable.words.count == 256)
        for byte in 0..<256 {
            let digest = try (Array("rtun gear 1".utf8) + [UInt8(byte)]).withUnsafeBytes { try Digest(of: $0.bytes) }
            let word = digest.withBytes { bytes in
                bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
            }
            #expect(GearTable.words[byte] == word, "entry \(byte)")
        }
    }

    @Test func `the golden cuts of the spec come out`() {
        let cuts = lengths(of: splitMix64(seed: 1, count: 32 << 20), ContentChunker())
        #expect(
            cuts == [
                2_350_891, 3_531_269, 1_606_462, 3_608_538, 2_492_826, 2_149_680, 3_247_699, 2_655_101, 2_363_481,
                2_342_868, 2_201_903, 2_106_317, 2_186_672, 710_725,
            ]
        )
    }

    @Test(arguments: small)
    func `cuts equal those of a plain reading of the spec`(minimum: Int, average: Int, maximum: Int) throws {
        let parameters = try #require(
            ContentChunker.Parameters(minimum: minimum, average: average, maximum: maximum)
        )
        for seed in 1...4 as ClosedRange<UInt64> {
            let bytes = splitMix64(seed: seed, count: 20_000 + Int(seed))
            #expect(lengths(of: bytes, ContentChunker(parameters)) == specLengths(of: bytes, parameters))
        }
    }

    @Test func `a window grown byte by byte gives nil until the same cut`() throws {
        let parameters = try #require(ContentChunker.Parameters(minimum: 64, average: 256, maximum: 512))
        let chunker = ContentChunker(parameters)
        let bytes = splitMix64(seed: 9, count: 8192)
        var start = 0
        for length in lengths(of: bytes, chunker).dropLast() {
            for count in 0...600 where start + count <= bytes.count {
                let cut = firstCut(chunker, bytes[start..<(start + count)], isLast: false)
                #expect(cut == (count < length ? nil : length))
            }
            start += length
        }
    }

    @Test func `the last window ends at its end or at an earlier cut`() throws {
        let parameters = try #require(ContentChunker.Parameters(minimum: 64, average: 256, maximum: 512))
        let chunker = ContentChunker(parameters)
        let bytes = splitMix64(seed: 5, count: 600)
        let whole = try #require(firstCut(chunker, bytes[...], isLast: false))
        for count in 1...600 {
            #expect(firstCut(chunker, bytes[..<count], isLast: true) == min(count, whole))
        }
        #expect(firstCut(chunker, bytes[..<0], isLast: true) == nil)
    }

    @Test(arguments: 0...255)
    func `a run of one byte value meets a mask at once or never`(byte: Int) {
        // After 64 equal bytes the hash stays what it is: the sum of all shifts of one word.
        let bytes = [UInt8](repeating: UInt8(byte), count: 5000)
        for (minimum, average, maximum) in [(64, 1 << 12, 1 << 12), (64, 1 << 11, 1 << 12)] {
            guard let parameters = ContentChunker.Parameters(minimum: minimum, average: average, maximum: maximum)
            else {
                Issue.record("parameters refused")
                return
            }
            let steady = GearTable.words[byte] &* .max
            let bits = average.trailingZeroBitCount
            let expected =
                steady.leadingZeroBitCount >= bits + 2 ? 64 : steady.leadingZeroBitCount >= bits - 2 ? average : maximum
            #expect(firstCut(ContentChunker(parameters), bytes[...], isLast: true) == expected)
        }
        #expect((GearTable.words[byte] &* .max).leadingZeroBitCount < 19, "would cut at the standard lengths")
    }

    @Test func `all lengths but the last lie between minimum and maximum, and the mean is near the average`() throws {
        let parameters = try #require(ContentChunker.Parameters(minimum: 512, average: 2048, maximum: 4096))
        let cuts = lengths(of: splitMix64(seed: 3, count: 2 << 20), ContentChunker(parameters)).dropLast()
        #expect(cuts.allSatisfy { (512...4096).contains($0) })
        let mean = cuts.reduce(0, +) / cuts.count
        #expect((1900...2700).contains(mean), "\(mean)")
        #expect(cuts.filter { $0 == 4096 }.count < cuts.count / 20)
    }

    @Test func `after an insertion the cuts fall where they fell before`() throws {
        let parameters = try #require(ContentChunker.Parameters(minimum: 512, average: 2048, maximum: 4096))
        let chunker = ContentChunker(parameters)
        var bytes = splitMix64(seed: 7, count: 1 << 20)
        let before = chunks(of: bytes, chunker)
        bytes.insert(contentsOf: [1, 2, 3], at: 300_000)
        let after = Set(chunks(of: bytes, chunker))
        let kept = before.filter { after.contains($0) }.count
        #expect(kept >= before.count - 12, "\(kept) of \(before.count)")
    }

    @Test(arguments: [
        (63, 256, 512), (512, 256, 1024), (64, 512, 256), (64, 300, 512), (64, 256, 4 << 20 + 1), (0, 0, 0),
        (-64, 256, 512),
    ])
    func `parameters that the spec does not allow are refused`(minimum: Int, average: Int, maximum: Int) {
        #expect(ContentChunker.Parameters(minimum: minimum, average: average, maximum: maximum) == nil)
    }

    @Test func `the standard lengths are those of the spec`() {
        #expect(
            ContentChunker.Parameters.standard
                == ContentChunker.Parameters(minimum: 524_288, average: 2_097_152, maximum: 4_194_304)
        )
    }
}

extension ContentChunkerTests {
    /// The spec's example stream: SplitMix64 words, least significant byte first.
    private func splitMix64(seed: UInt64, count: Int) -> [UInt8] {
        var state = seed
        return [UInt8](unsafeUninitializedCapacity: (count + 7) & ~7) { buffer, filled in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for offset in stride(from: 0, to: count, by: 8) {
                state &+= 0x9E37_79B9_7F4A_7C15
                var word = state
                word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
                word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
                word ^= word >> 31
                raw.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
            }
            filled = count
        }
    }

    private func firstCut(_ chunker: ContentChunker, _ bytes: ArraySlice<UInt8>, isLast: Bool) -> Int? {
        bytes.withUnsafeBytes { chunker.firstCut(in: $0.bytes, isLast: isLast) }
    }

    private func lengths(of bytes: [UInt8], _ chunker: ContentChunker) -> [Int] {
        var lengths: [Int] = []
        var start = 0
        while let length = firstCut(chunker, bytes[start...], isLast: true) {
            lengths.append(length)
            start += length
        }
        return lengths
    }

    private func chunks(of bytes: [UInt8], _ chunker: ContentChunker) -> [[UInt8]] {
        var start = 0
        return lengths(of: bytes, chunker).map { length in
            defer { start += length }
            return Array(bytes[start..<(start + length)])
        }
    }

    /// The spec, sentence by sentence: the hash as a sum over the 64 latest bytes, anew at each length.
    private func specLengths(of bytes: [UInt8], _ parameters: ContentChunker.Parameters) -> [Int] {
        var lengths: [Int] = []
        var start = 0
        while start < bytes.count {
            let left = bytes.count - start
            var length = min(parameters.minimum, left)
            while length < left, length < parameters.maximum {
                var hash: UInt64 = 0
                for distance in 0..<64 {
                    hash &+= GearTable.words[Int(bytes[start + length - 1 - distance])] &* (1 << UInt64(distance))
                }
                let bits = parameters.average.trailingZeroBitCount + (length < parameters.average ? 2 : -2)
                if hash.leadingZeroBitCount >= bits { break }
                length += 1
            }
            lengths.append(length)
            start += length
        }
        return lengths
    }
}
