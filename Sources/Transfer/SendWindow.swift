// SPDX-License-Identifier: MIT

/// How much may be written and not yet RECEIVED (`docs/protocol.md` section 5.2): a value without I/O and clock.
///
/// SSH channels and TCP take many megabytes before they make a writer wait. On a slow line that is minutes of queue, in
/// which heartbeats and notifications stand behind bulk data. So what is under way stays below one second of the rate
/// at which the receiver reads, and may always be 128 KiB, at first 256 KiB: at 1 Mbit/s, where a connection beside the
/// data waits twice behind them, that is two seconds.
///
/// The rate is the mean over the last second in which anything was under way: a sender that pauses loses nothing.
package struct SendWindow: Sendable {
    /// Bytes that may be under way at any rate.
    package static let floor = 128 << 10
    /// Bytes that may be under way until the rate has been measured for a second.
    package static let start = 256 << 10

    /// Bytes under way that one second of the receiver's rate allows.
    package private(set) var size = SendWindow.start
    private var written: UInt64 = 0
    private var received: UInt64 = 0
    /// Time in which something was under way, up to the last change.
    private var busy = Duration.zero
    private var lastChange = Duration.zero
    /// What had been received at earlier points of `busy`, the first of them a second ago or before.
    private var marks: [(busy: Duration, received: UInt64)] = [(.zero, 0)]

    package init() {}

    /// Bytes that were written and not RECEIVED.
    package var underWay: Int { Int(clamping: written - received) }

    /// Bytes that may be written now.
    package var room: Int { max(0, size - underWay) }

    /// Bytes to write now of `wanted`; 0 while what there is room for would not be worth a write of its own.
    package func grant(_ wanted: Int) -> Int {
        room >= min(wanted, size / 8) ? min(room, wanted) : 0
    }

    /// Notes bytes that are written now; `now` is a monotonic time.
    package mutating func write(_ count: Int, at now: Duration) {
        advance(to: now)
        written += UInt64(count)
    }

    /// Takes RECEIVED; a count that goes back, or beyond what was written, changes nothing.
    package mutating func take(received count: UInt64, at now: Duration) {
        guard count > received, count <= written else { return }
        advance(to: now)
        received = count
        marks.append((busy, received))
        // One mark that is a second old stays, to measure from.
        while marks.count > 2, busy - marks[1].busy >= .seconds(1) { marks.removeFirst() }
        let span = max(busy - marks[0].busy, .milliseconds(10)) / .seconds(1)
        let second = Double(received - marks[0].received) / span
        let least = busy < .seconds(1) ? Self.start : Self.floor
        size = max(least, Int(min(second, Double(1 << 40))))
    }

    private mutating func advance(to now: Duration) {
        if written > received { busy += max(.zero, now - lastChange) }
        lastChange = now
    }
}
