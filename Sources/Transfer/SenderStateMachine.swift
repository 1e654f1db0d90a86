// SPDX-License-Identifier: MIT

package import Archive

/// What the sender of one transfer may do: credit, and what is durable.
///
/// A value without I/O.
package struct SenderStateMachine: Sendable {
    /// Raw bytes that may be under way and not durable.
    package let credit: UInt64
    /// Raw bytes under way and not durable.
    package private(set) var outstanding: UInt64 = 0
    /// Raw bytes that are durable at the laptop.
    package private(set) var durable: UInt64 = 0
    /// Bytes that the receiver has read.
    package private(set) var received: UInt64 = 0
    package private(set) var frames: UInt64 = 0
    /// Ordinals below were answered by HAVE.
    package private(set) var answered: UInt64 = 0
    private var had: [ClosedRange<UInt64>] = []
    private var rawBytes: [UInt64: UInt64] = [:]
    private var isCommitted = false

    package init(credit: UInt64) {
        self.credit = credit
    }

    /// Number for the next frame of so many raw bytes, or nil while it would exceed the credit.
    package mutating func nextFrame(rawBytes bytes: UInt64) -> UInt64? {
        precondition(!isCommitted, "nothing is sent behind COMMIT")
        guard outstanding == 0 || outstanding + bytes <= credit else { return nil }
        outstanding += bytes
        rawBytes[frames] = bytes
        defer { frames += 1 }
        return frames
    }

    /// Takes DURABLE.
    ///
    /// A frame that is not under way is the receiver's fault.
    package mutating func markDurable(_ ranges: [ClosedRange<UInt64>]) throws(FormatError) {
        for range in ranges {
            guard range.upperBound < frames else { throw FormatError("DURABLE for a frame that was not sent") }
            for number in range {
                guard let bytes = rawBytes.removeValue(forKey: number) else {
                    throw FormatError("DURABLE for a frame twice")
                }
                outstanding -= bytes
                durable += bytes
            }
        }
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

    package mutating func markReceived(_ bytes: UInt64) {
        received = max(received, bytes)
    }

    package mutating func commit() {
        isCommitted = true
    }

    /// Takes COMMITTED, which may come only behind COMMIT.
    package func checkCommitted() throws(FormatError) {
        guard isCommitted else { throw FormatError("COMMITTED without COMMIT") }
    }
}
