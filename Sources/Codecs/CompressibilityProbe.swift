// SPDX-License-Identifier: MIT

/// Tells from a few samples whether bytes are worth compressing, at a small part of what compressing them costs.
///
/// Packed and encrypted bytes have two marks: every byte value is about as frequent as any other, and nothing repeats.
/// Bytes are held for packed only if they have both; a frame of which a tenth is text is compressed.
package enum CompressibilityProbe {
    /// Fewer bytes than this are compressed without asking.
    static let minimumByteCount = 128 << 10
    private static let sampleCount = 32
    private static let sampleBytes = 4 << 10
    /// Where repetitions are looked for: longer, as they may lie apart.
    private static let stretchBytes = 32 << 10

    /// False for bytes that a compressor would not make noticeably smaller.
    package static func isWorthCompressing(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= minimumByteCount else { return true }
        return unsafe bytes.withUnsafeBytes { raw in
            let stride = (raw.count - sampleBytes) / (sampleCount - 1)
            var sum = 0
            for sample in 0..<sampleCount {
                let start = sample * stride
                sum += unsafe squaredCounts(UnsafeRawBufferPointer(rebasing: raw[start..<(start + sampleBytes)]))
                if sum > unevenSum { return true }
            }
            let middle = (raw.count - stretchBytes) / 2
            return unsafe repeats(UnsafeRawBufferPointer(rebasing: raw[middle..<(middle + stretchBytes)]))
        }
    }

    /// What the squared counts of all samples add up to where byte values are no longer about equally frequent.
    ///
    /// Random bytes have n + n(n − 1)/256 for each sample of n. Bytes that gzip, zstd, PNG or wheels hold have 2 to 60 %
    /// more on average, some samples (tables, names) much more; text has ten times as much, libraries 13 times.
    private static let unevenSum = sampleCount * (sampleBytes + sampleBytes * (sampleBytes - 1) / 256) * 7 / 4

    /// How often each byte value occurs, squared and added up.
    private static func squaredCounts(_ sample: UnsafeRawBufferPointer) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 256) { counts in
            unsafe counts.initialize(repeating: 0)
            for place in sample.indices { unsafe counts[Int(sample[place])] &+= 1 }
            var sum = 0
            for value in counts.indices { sum &+= unsafe Int(counts[value]) &* Int(counts[value]) }
            return sum
        }
    }

    /// Whether more than one place in 64 begins with four bytes that stood in the stretch before.
    private static func repeats(_ stretch: UnsafeRawBufferPointer) -> Bool {
        unsafe withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 4096) { places in
            unsafe places.initialize(repeating: 0)
            var found = 0
            for place in 1..<(stretch.count - 4) {
                let word = unsafe stretch.loadUnaligned(fromByteOffset: place, as: UInt32.self)
                let slot = Int((word &* 2_654_435_761) >> 20)
                let earlier = unsafe Int(places[slot])
                if unsafe stretch.loadUnaligned(fromByteOffset: earlier, as: UInt32.self) == word, earlier > 0 {
                    found += 1
                }
                unsafe places[slot] = UInt16(truncatingIfNeeded: place)
            }
            return found > stretch.count / 64
        }
    }
}
