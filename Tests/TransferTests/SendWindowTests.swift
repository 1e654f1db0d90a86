// SPDX-License-Identifier: MIT

import Testing
import Transfer

/// A line with a rate and a delay, and a receiver that reports every 100 ms, early where much has come.
private struct SimulatedLine {
    /// Bytes a second.
    var rate: Double
    /// Seconds there and back.
    var roundTrip: Double
    var window = SendWindow()
    var now = 0.0
    /// When the line has sent what was given to it.
    private var freeAt = 0.0
    private var travelling: [(arrives: Double, bytes: Int)] = []
    private var next = 0
    private var arrived: UInt64 = 0
    private var reported: UInt64 = 0
    private var lastReport = 0.0
    private var reports: [(arrives: Double, count: UInt64)] = []
    /// The longest time that a byte written at this moment would have to wait for those before it.
    private(set) var longestQueue = 0.0

    init(rate: Double, roundTrip: Double) {
        self.rate = rate
        self.roundTrip = roundTrip
    }

    private var time: Duration { .microseconds(Int64(now * 1e6)) }

    /// Sends as fast as the window allows, and returns how many bytes arrived.
    mutating func run(seconds: Double, isSending: Bool = true) -> Double {
        let before = arrived
        let end = now + seconds
        while now < end {
            now += 0.001
            while next < travelling.count, travelling[next].arrives <= now {
                arrived += UInt64(travelling[next].bytes)
                next += 1
            }
            let isDue = now - lastReport >= 0.1 || now - lastReport >= 0.02 && arrived - reported >= 128 << 10
            if arrived > reported, isDue {
                reports.append((now + roundTrip / 2, arrived))
                (reported, lastReport) = (arrived, now)
            }
            while let first = reports.first, first.arrives <= now {
                window.take(received: first.count, at: time)
                reports.removeFirst()
            }
            while isSending, case let bytes = window.grant(1 << 20), bytes > 0, freeAt - now < 3 {
                window.write(bytes, at: time)
                for start in stride(from: 0, to: bytes, by: 16 << 10) {
                    let piece = min(16 << 10, bytes - start)
                    freeAt = max(freeAt, now) + Double(piece) / rate
                    travelling.append((freeAt + roundTrip / 2, piece))
                }
            }
            longestQueue = max(longestQueue, freeAt - now)
        }
        return Double(arrived - before)
    }
}

struct SendWindowTests {
    @Test(arguments: [(0.125e6, 0.3), (1e6, 0.05), (12.5e6, 0.05), (125e6, 0.1), (125e6, 0.3)])
    func `a line is filled, whatever its rate and delay`(rate: Double, roundTrip: Double) {
        var line = SimulatedLine(rate: rate, roundTrip: roundTrip)
        _ = line.run(seconds: 2)
        #expect(line.run(seconds: 5) > 0.9 * 5 * rate)
    }

    @Test func `a gigabit over 100 ms is full after half a second`() {
        var line = SimulatedLine(rate: 125e6, roundTrip: 0.1)
        _ = line.run(seconds: 0.5)
        #expect(line.run(seconds: 0.5) > 0.95 * 0.5 * 125e6)
    }

    @Test(arguments: [(0.0625e6, 0.3, 4.3), (0.125e6, 0.3, 2.2), (1e6, 0.05, 1.1), (12.5e6, 0.05, 1.1)])
    func `nobody waits long behind the data`(rate: Double, roundTrip: Double, seconds: Double) {
        var line = SimulatedLine(rate: rate, roundTrip: roundTrip)
        _ = line.run(seconds: 20)
        #expect(line.longestQueue < seconds)
    }

    @Test func `a pause of the sender does not make the window small`() {
        var line = SimulatedLine(rate: 12.5e6, roundTrip: 0.05)
        _ = line.run(seconds: 5)
        let before = line.window.size
        _ = line.run(seconds: 30, isSending: false)
        #expect(line.window.underWay == 0)
        _ = line.run(seconds: 0.2)
        #expect(line.window.size > before / 2)
    }

    @Test func `a line that becomes slow makes the window small within two seconds`() {
        var line = SimulatedLine(rate: 12.5e6, roundTrip: 0.05)
        _ = line.run(seconds: 5)
        line.rate = 0.125e6
        _ = line.run(seconds: 2)
        #expect(line.window.size < 8 << 20)
        _ = line.run(seconds: 120)
        #expect(line.window.size <= SendWindow.floor)
        #expect(line.run(seconds: 5) > 0.92 * 5 * 0.125e6)
    }

    @Test func `counts that cannot be change nothing`() {
        var window = SendWindow()
        window.write(100_000, at: .seconds(1))
        window.take(received: 100_001, at: .seconds(2))
        #expect(window.underWay == 100_000)
        window.take(received: 60_000, at: .seconds(2))
        window.take(received: 50_000, at: .seconds(3))
        #expect(window.underWay == 40_000)
        #expect(window.room == SendWindow.floor - 40_000)
    }

    @Test func `room that is not worth a write is not granted`() {
        var window = SendWindow()
        window.write(SendWindow.start - 1_000, at: .zero)
        #expect(window.grant(1 << 20) == 0)
        #expect(window.grant(1_000) == 1_000)
        window.take(received: 60_000, at: .milliseconds(500))
        #expect(window.grant(1 << 20) == 61_000)
    }
}
