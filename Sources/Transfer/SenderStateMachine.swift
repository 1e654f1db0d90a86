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
