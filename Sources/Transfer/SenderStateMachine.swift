// SPDX-License-Identifier: MIT

package import Archive

/// What the sender of one transfer may do: credit, what is durable, and what a broken link has cost.
///
/// A value without I/O.
package struct SenderStateMachine: Sendable {
    /// One chunk that was sent.
    package typealias Sent = ChunkFetch.Wanted

    /// Chunks that may be under way: bounds the memory that remembers where they come from.
    private static let chunkLimit = 65_536

    /// Raw bytes that may be under way and not durable.
    package private(set) var credit: UInt64
    /// Raw bytes under way and not durable.
    package private(set) var outstanding: UInt64 = 0
    /// Raw bytes that are durable at the laptop.
    package private(set) var durable: UInt64 = 0
    /// How far the receiver has read.
    package private(set) var received = Received(bytes: 0, records: 0)
    /// Frames of this epoch.
    package private(set) var frames: UInt64 = 0
    /// Ordinals below were answered by HAVE.
    package private(set) var answered: UInt64 = 0
    private var had: [ClosedRange<UInt64>] = []
    /// Chunks of each frame that is under way.
    private var underWay: [UInt64: [Sent]] = [:]
    private var chunksUnderWay = 0
    private var hasCommitted = false

    package init(credit: UInt64) {
        self.credit = credit
    }

    /// Number for the next frame, or nil while it would exceed the credit.
    package mutating func nextFrame(of chunks: [Sent]) -> UInt64? {
        let bytes = chunks.rawBytes
        guard
            outstanding == 0
                || (outstanding + bytes <= credit && chunksUnderWay + chunks.count <= Self.chunkLimit)
        else { return nil }
        outstanding += bytes
        chunksUnderWay += chunks.count
        underWay[frames] = chunks
        defer { frames += 1 }
        return frames
    }

    /// Takes DURABLE, and returns the chunks that are it now.
    ///
    /// A frame that is not under way is the receiver's fault.
    package mutating func markDurable(_ ranges: [ClosedRange<UInt64>]) throws(FormatError) -> [Sent] {
        var arrived: [Sent] = []
        for range in ranges {
            guard range.upperBound < frames else { throw FormatError("DURABLE for a frame that was not sent") }
            for number in range {
                guard let chunks = underWay.removeValue(forKey: number) else {
                    throw FormatError("DURABLE for a frame twice")
                }
                let bytes = chunks.rawBytes
                outstanding -= bytes
                durable += bytes
                chunksUnderWay -= chunks.count
                arrived.append(contentsOf: chunks)
            }
        }
        return arrived
    }

    /// Begins a new epoch behind a broken link, with what HAVE has told of all chunks below `answered`.
    ///
    /// Returns the chunks that were under way: those to be sent again, ascending, and those that have arrived.
    package mutating func beginEpoch(
        credit: UInt64,
        answered: UInt64,
        present: [ClosedRange<UInt64>]
    ) -> (lost: [Sent], arrived: [Sent]) {
        var lost: [Sent] = []
        var arrived: [Sent] = []
        for chunk in underWay.values.joined() {
            if present.holds(chunk.ordinal) {
                durable += UInt64(chunk.chunk.length)
                arrived.append(chunk)
            } else {
                lost.append(chunk)
            }
        }
        // What was answered before is taken already; the rest are answers that the break has swallowed.
        let news = present.compactMap { range in
            range.upperBound < self.answered ? nil : max(range.lowerBound, self.answered)...range.upperBound
        }
        had.append(contentsOf: news)
        self.answered = max(self.answered, answered)
        self.credit = credit
        underWay = [:]
        chunksUnderWay = 0
        outstanding = 0
        frames = 0
        received.bytes = 0
        return (lost.sorted { $0.ordinal < $1.ordinal }, arrived)
    }

    /// Takes HAVE: what is answered only grows, and a range is below it and new.
    package mutating func markAnswered(_ have: Have) throws(FormatError) {
        guard have.answered >= answered else { throw FormatError("HAVE takes an answer back") }
        for range in have.ranges {
            guard range.lowerBound >= answered, range.upperBound < have.answered else {
                throw FormatError("HAVE names what was answered before, or not yet")
            }
        }
        answered = have.answered
        had.append(contentsOf: have.ranges)
    }

    /// Which of the chunks from `first` on are had; each is asked for once, in order.
    package mutating func takeHad(first: UInt64, count: Int) -> [Bool] {
        var flags = [Bool](repeating: false, count: count)
        let end = first + UInt64(count)
        while let range = had.first, range.lowerBound < end {
            had.removeFirst()
            for ordinal in range.clamped(to: first...(end - 1)) { flags[Int(ordinal - first)] = true }
            if range.upperBound >= end { had.insert(end...range.upperBound, at: 0) }
        }
        return flags
    }

    package mutating func markReceived(_ now: Received) {
        received.bytes = max(received.bytes, now.bytes)
        received.records = max(received.records, now.records)
    }

    package mutating func commit() {
        hasCommitted = true
    }

    /// Takes COMMITTED, which may come only behind COMMIT.
    package func checkCommitted() throws(FormatError) {
        guard hasCommitted else { throw FormatError("COMMITTED without COMMIT") }
    }
}

extension [SenderStateMachine.Sent] {
    fileprivate var rawBytes: UInt64 { reduce(0) { $0 + UInt64($1.chunk.length) } }
}

extension [ClosedRange<UInt64>] {
    /// True where one of the ranges, which ascend, holds the number.
    fileprivate func holds(_ number: UInt64) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].upperBound < number { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low].contains(number)
    }
}
