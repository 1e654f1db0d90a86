// SPDX-License-Identifier: MIT

import Testing

@testable import rtun

/// The line at each width and phase, and the rate that it shows.
struct ProgressLineTests {
    let sending = ProgressState(
        name: "results",
        durableBytes: 1_400_000_000,
        totalBytes: 3_400_000_000,
        knownBytes: 3_400_000_000,
        filesDone: 120,
        elapsed: 40,
        rate: 34_500_000
    )

    @Test(
        arguments: [
            (
                120, .full,
                "results  [============>                 ]   41%  1.4 GB / 3.4 GB  120 files  34.5 MB/s  0:57 left"
            ),
            (80, .full, "results  [=====>       ]   41%  1.4 GB / 3.4 GB  120 files  34.5 MB/s  0:57 left"),
            (77, .full, "results  [====>     ]   41%  1.4 GB / 3.4 GB  120 files  34.5 MB/s  0:57 left"),
            (76, .withoutFiles, "results  [========>           ]   41%  1.4 GB / 3.4 GB  34.5 MB/s  0:57 left"),
            (60, .withoutTotal, "results  [=====>       ]   41%  1.4 GB  34.5 MB/s  0:57 left"),
            (50, .withoutRate, "results  [=====>        ]   41%  1.4 GB  0:57 left"),
            (40, .withoutTimeLeft, "results  [======>        ]   41%  1.4 GB"),
            (30, .withoutBar, "results   41%  1.4 GB"),
            (16, .withCutName, "results   41%"),
            (12, .withCutName, "resul…   41%"),
            (8, .withCutName, "r…   41%"),
            (4, .withCutName, " 41%"),
            (2, .withCutName, " …"),
            (0, .withCutName, ""),
        ] as [(Int, ProgressLine.Layout, String)]
    )
    func `the line gives up its parts in order`(width: Int, layout: ProgressLine.Layout, expected: String) {
        let (used, line) = ProgressLine.drawWithLayout(sending, width: width)
        #expect(line == expected)
        #expect(used == layout)
    }

    @Test func `no line is wider than the terminal`() {
        var states = [sending]
        for phase in [.publishing, .waiting(reason: "no tunnel")] as [ProgressState.Phase] {
            states.append(sending)
            states[states.count - 1].phase = phase
        }
        for state in states {
            for name in ["a", String(repeating: "long-name-", count: 20), "実験結果の表", ""] {
                for total in [3_400_000_000, nil] as [UInt64?] {
                    var state = state
                    state.name = name
                    state.totalBytes = total
                    for width in 0...200 {
                        #expect(TerminalText.columns(ProgressLine.draw(state, width: width)) <= width)
                    }
                }
            }
        }
    }

    @Test(arguments: [
        (120, "results  1.2 GB of ≥ 3.4 GB  120 files  34.5 MB/s"), (45, "results  1.2 GB of ≥ 3.4 GB  34.5 MB/s"),
        (32, "results  1.2 GB  34.5 MB/s"), (20, "results  1.2 GB"), (12, "res…  1.2 GB"),
    ])
    func `while the total is unknown there is no per cent, bar or time left`(width: Int, expected: String) {
        var state = sending
        state.totalBytes = nil
        state.durableBytes = 1_200_000_000
        #expect(ProgressLine.draw(state, width: width) == expected)
        #expect(state.timeLeft == nil)
    }

    @Test func `what is durable is known, whatever the walk has said`() {
        let state = ProgressState(name: "a", durableBytes: 5_000_000, totalBytes: nil, knownBytes: 1000)
        #expect(ProgressLine.draw(state, width: 80) == "a  5.0 MB of ≥ 5.0 MB  0 B/s")
    }

    @Test(
        arguments: [
            (0, 100, 0), (99, 100, 99), (100, 100, 100), (101, 100, 100), (0, 0, 100), (999_999, 1_000_000, 99),
            (.max - 1, .max, 99), (.max, .max, 100), (29, 100, 29),
        ] as [(UInt64, UInt64, Int)]
    )
    func `100 per cent is shown only when no byte is missing`(durable: UInt64, total: UInt64, percent: Int) {
        let state = ProgressState(name: "a", durableBytes: durable, totalBytes: total)
        #expect(state.share(in: 100) == percent)
        let line = ProgressLine.draw(state, width: 80)
        #expect(line.contains(" \(percent)%  "))
        #expect(line.contains(">") == (percent < 100))
    }

    @Test func `after a resume the share is that of all bytes and the rate that of the new ones`() {
        let state = ProgressState(
            name: "a",
            durableBytes: 600,
            resumedBytes: 500,
            totalBytes: 1000,
            elapsed: 10,
            rate: 20
        )
        #expect(state.share(in: 100) == 60)
        #expect(state.averageRate == 10)
        #expect(state.timeLeft == 20)
        var fresh = state
        fresh.durableBytes = 400
        #expect(fresh.averageRate == 0)
    }

    @Test func `a transfer that publishes or waits says so in place of rate and time left`() {
        var state = sending
        state.phase = .waiting(reason: "no tunnel")
        #expect(
            ProgressLine.draw(state, width: 80)
                == "results  [======>        ]   41%  1.4 GB / 3.4 GB  120 files  waiting: no tunnel"
        )
        #expect(ProgressLine.draw(state, width: 28) == "r…   41%  waiting: no tunnel")
        state.phase = .publishing
        #expect(ProgressLine.draw(state, width: 25) == "results   41%  publishing")
    }

    @Test func `a long name is cut before anything else is given up`() {
        var state = sending
        state.name = String(repeating: "n", count: 100)
        let (layout, line) = ProgressLine.drawWithLayout(state, width: 120)
        #expect(layout == .full)
        #expect(line.hasPrefix(String(repeating: "n", count: 39) + "…  ["))
    }

    @Test(arguments: [
        ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abc", 1, "…"), ("abc", 0, ""), ("実験", 4, "実験"), ("実験室", 4, "実…"),
        ("e\u{301}a", 2, "e\u{301}a"), ("e\u{301}ab", 2, "e\u{301}…"),
    ])
    func `text is cut by columns`(text: String, width: Int, expected: String) {
        #expect(TerminalText.cut(text, to: width) == expected)
    }
}

/// The smoothed rate over a few seconds of samples.
struct RateMeterTests {
    @Test func `a steady flow has its rate from the second sample on`() {
        var meter = RateMeter(bytes: 7_000_000, at: 100)
        #expect(meter.rate(at: 100) == 0)
        for step in 1...200 {
            let time = 100 + Double(step) * 0.05
            meter.record(bytes: 7_000_000 + UInt64(step) * 50_000, at: time)
            #expect(abs(meter.rate(at: time) - 1_000_000) < 30_000, "step \(step): \(meter.rate(at: time))")
        }
    }

    @Test func `the rate falls to nothing within the window of a stall`() {
        var meter = RateMeter(bytes: 0, at: 0)
        for second in 1...10 { meter.record(bytes: UInt64(second) * 1000, at: Double(second)) }
        #expect(meter.rate(at: 10) == 1000)
        #expect(meter.rate(at: 12.5) == 500)
        #expect(meter.rate(at: 15) == 0)
        #expect(meter.rate(at: 1000) == 0)
    }

    @Test func `after an hour of waiting the rate is back within the window`() {
        var meter = RateMeter(bytes: 0, at: 0)
        for second in 3600...3605 { meter.record(bytes: UInt64(second - 3599) * 1000, at: Double(second)) }
        #expect(abs(meter.rate(at: 3605) - 1000) < 1)
    }

    @Test func `one burst counts over the window and not longer`() {
        var meter = RateMeter(bytes: 0, at: 0)
        meter.record(bytes: 0, at: 9.9)
        meter.record(bytes: 16_000_000, at: 10)
        #expect(abs(meter.rate(at: 14) - 3_200_000) < 1)
        #expect(meter.rate(at: 15) == 0)
    }

    @Test func `a count that shrinks starts over`() {
        var meter = RateMeter(bytes: 0, at: 0)
        meter.record(bytes: 5000, at: 1)
        meter.record(bytes: 4000, at: 2)
        #expect(meter.rate(at: 2) == 0)
        meter.record(bytes: 5000, at: 3)
        #expect(meter.rate(at: 3) == 1000)
    }

    @Test func `a clock that goes back does no harm`() {
        var meter = RateMeter(bytes: 0, at: 10)
        meter.record(bytes: 1000, at: 5)
        #expect(meter.rate(at: 5) == 0)
        meter.record(bytes: 2000, at: 11)
        #expect(meter.rate(at: 11) == 1000)
    }

    @Test func `many samples a second are kept as few`() {
        var meter = RateMeter(bytes: 0, at: 0)
        for step in 1...10_000 { meter.record(bytes: UInt64(step) * 10, at: Double(step) * 0.001) }
        #expect(meter.sampleCount <= 110)
        #expect(abs(meter.rate(at: 10) - 10_000) < 300)
    }
}
