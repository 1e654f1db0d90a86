// SPDX-License-Identifier: MIT

/// Finds where a large file is cut into chunks, by its content: FastCDC with normalised chunking.
///
/// A cut depends on nothing but the parameters and the bytes of the chunk that it ends. Bytes inserted into a file
/// therefore change the chunks around them, and the cuts after them fall where they fell before.
/// Spec: docs/archive-format.md, "Content-defined chunking". A file of at most `Parameters.maximum` bytes is one
/// chunk and does not come here.
package struct ContentChunker: Sendable {
    /// The lengths that rule the cuts, in bytes; the manifest header records them.
    package struct Parameters: Sendable, Hashable {
        /// No chunk but the last of a run is shorter; at least `ContentChunker.hashedBytes`.
        package let minimum: Int
        /// The length from which on cuts become likely; a power of two.
        package let average: Int
        /// No chunk is longer; at most 4 MiB, the limit for every chunk.
        package let maximum: Int

        /// What this version uses for new transfers: 512 KiB, 2 MiB, 4 MiB.
        package static let standard = Parameters(checkedMinimum: 512 << 10, average: 2 << 20, maximum: 4 << 20)

        /// Takes recorded lengths, or returns nil when the spec does not allow them.
        ///
        /// Allowed is 64 ≤ `minimum` ≤ `average` ≤ `maximum` ≤ 4 MiB with `average` a power of two.
        package init?(minimum: Int, average: Int, maximum: Int) {
            guard minimum >= ContentChunker.hashedBytes, minimum <= average, average <= maximum,
                maximum <= ContentChunker.longestChunk, average & (average - 1) == 0
            else { return nil }
            self.init(checkedMinimum: minimum, average: average, maximum: maximum)
        }

        private init(checkedMinimum: Int, average: Int, maximum: Int) {
            minimum = checkedMinimum
            self.average = average
            self.maximum = maximum
        }
    }

    /// How many of the latest bytes the hash knows: each step shifts by one bit, and a word has 64.
    static let hashedBytes = 64
    /// The limit for any chunk, in bytes.
    static let longestChunk = 4 << 20
    /// How many bits the two masks differ from log2(average), FastCDC's level of normalisation.
    private static let normalisation = 2

    /// The lengths in force.
    package let parameters: Parameters
    /// Tested below the average length: more bits, so that few chunks end early.
    private let rareMask: UInt64
    /// Tested from the average length on: fewer bits, so that few chunks grow to the maximum.
    private let commonMask: UInt64

    /// Derives the masks from `parameters`.
    package init(_ parameters: Parameters = .standard) {
        self.parameters = parameters
        let bits = parameters.average.trailingZeroBitCount
        rareMask = Self.mask(bits: bits + Self.normalisation)
        commonMask = Self.mask(bits: bits - Self.normalisation)
    }

    /// Returns the length in bytes of the chunk that starts at the first byte of `window`.
    ///
    /// - Parameters:
    ///   - window: The run's bytes from the chunk's start on; borrowed, nothing is kept. What lies beyond
    ///     `Parameters.maximum` is not looked at.
    ///   - isLast: Whether the run ends with the window.
    /// - Returns: Between 1 and `Parameters.maximum`; at least `Parameters.minimum` unless the run ends there. Nil when
    ///   the window holds no cut, is shorter than the maximum and is not the last: call again with more bytes from the
    ///   same start. Nil for an empty window too.
    package func firstCut(in window: RawSpan, isLast: Bool) -> Int? {
        let available = window.byteCount
        let end = min(available, parameters.maximum)
        if end >= parameters.minimum, let cut = contentCut(in: window, end: end) { return cut }
        guard isLast || available >= parameters.maximum, end > 0 else { return nil }
        return end
    }

    /// The shortest length in `minimum...end` at which the hash asks for a cut.
    ///
    /// Needs `minimum <= end <= window.byteCount`.
    private func contentCut(in window: RawSpan, end: Int) -> Int? {
        let firstTested = parameters.minimum - 1
        let boundary = min(parameters.average - 1, end)
        return GearTable.words.withUnsafeBufferPointer { words -> Int? in
            window.withUnsafeBytes { buffer -> Int? in
                guard let gear = words.baseAddress, let start = buffer.baseAddress else { return nil }
                let bytes = start.assumingMemoryBound(to: UInt8.self)
                // Bounds: every index below is in 0..<end, as hashedBytes <= minimum <= end <= buffer.count and
                // boundary <= end. A gear index is one byte, and the table has 256 words.
                var hash: UInt64 = 0
                for index in (firstTested &- Self.hashedBytes &+ 1)..<firstTested {
                    hash = (hash &<< 1) &+ gear[Int(bytes[index])]
                }
                if firstTested < boundary,
                    let cut = Self.scan(bytes, from: firstTested, to: boundary, mask: rareMask, gear, &hash)
                {
                    return cut
                }
                let rest = max(firstTested, boundary)
                return Self.scan(bytes, from: rest, to: end, mask: commonMask, gear, &hash)
            }
        }
    }

    /// Rolls `hash` over the bytes `from..<to` and returns the length up to the first byte after which it meets `mask`.
    ///
    /// Four bytes at a time: what the hash was before is shifted once for all of them, so that the next four wait for one
    /// addition and not for eight. The mask is of the highest bits, so that the least of the four tells of all.
    @inline(__always)
    private static func scan(
        _ bytes: UnsafePointer<UInt8>,
        from: Int,
        to end: Int,
        mask: UInt64,
        _ gear: UnsafePointer<UInt64>,
        _ hash: inout UInt64
    ) -> Int? {
        let greatest = ~mask
        var rolling = hash
        var index = from
        while index &+ 4 <= end {
            let gears = (
                gear[Int(bytes[index])], gear[Int(bytes[index &+ 1])],
                gear[Int(bytes[index &+ 2])], gear[Int(bytes[index &+ 3])]
            )
            let firstTwo = (gears.0 &<< 1) &+ gears.1
            let lastTwo = (gears.2 &<< 1) &+ gears.3
            let first = (rolling &<< 1) &+ gears.0
            let second = (rolling &<< 2) &+ firstTwo
            let third = (second &<< 1) &+ gears.2
            let fourth = (rolling &<< 4) &+ ((firstTwo &<< 2) &+ lastTwo)
            if min(min(first, second), min(third, fourth)) <= greatest {
                return index &+ (first <= greatest ? 1 : second <= greatest ? 2 : third <= greatest ? 3 : 4)
            }
            rolling = fourth
            index &+= 4
        }
        while index < end {
            rolling = (rolling &<< 1) &+ gear[Int(bytes[index])]
            index &+= 1
            if rolling <= greatest { return index }
        }
        hash = rolling
        return nil
    }

    /// The highest `bits` bits: those that the most bytes have a share in.
    private static func mask(bits: Int) -> UInt64 {
        ~0 << UInt64(64 - bits)
    }
}
