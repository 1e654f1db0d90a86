// SPDX-License-Identifier: MIT

import RTunDaemon

/// What is known about a running transfer when its line is drawn.
struct ProgressState: Sendable, Equatable {
    /// What the transfer does at present.
    enum Phase: Sendable, Equatable {
        /// Chunks are on their way.
        case sending
        /// All of them are durable; names are being put in place.
        case publishing
        /// Nothing moves, for this reason; text that is safe to print.
        case waiting(reason: String)
    }

    /// What is being sent.
    ///
    /// It goes to the terminal as it is, so the caller has escaped control characters before.
    var name: String
    /// Bytes durable at the laptop, those of an earlier run included.
    var durableBytes: UInt64
    /// Bytes of `durableBytes` that were there when this run began.
    var resumedBytes: UInt64 = 0
    /// Bytes of the whole transfer; nil while the walk goes on.
    var totalBytes: UInt64?
    /// Bytes that the walk has found so far.
    var knownBytes: UInt64 = 0
    /// Files that are complete at the laptop.
    var filesDone: Int = 0
    /// Seconds since this run began.
    var elapsed: Double = 0
    /// New bytes per second, smoothed: from a `RateMeter`.
    var rate: Double = 0
    /// What the transfer does at present.
    var phase: Phase = .sending

    /// The durable part in `parts`-ths of the total, 0...parts; nil while the total is unknown.
    ///
    /// Cut, not rounded: all parts are there only when no byte is missing.
    func share(in parts: Int) -> Int? {
        guard let totalBytes else { return nil }
        guard durableBytes < totalBytes else { return parts }
        return Int(totalBytes.dividingFullWidth(durableBytes.multipliedFullWidth(by: UInt64(parts))).quotient)
    }

    /// New bytes of this run per second of its whole time: the rate of the last line.
    var averageRate: Double {
        elapsed > 0 && durableBytes > resumedBytes ? Double(durableBytes - resumedBytes) / elapsed : 0
    }

    /// Seconds until the last byte is durable, at the present rate; nil when total or rate are unknown.
    var timeLeft: Double? {
        guard let totalBytes, rate > 0, phase == .sending else { return nil }
        return totalBytes > durableBytes ? Double(totalBytes - durableBytes) / rate : 0
    }
}

/// The one line that shows a transfer on a terminal, as a pure function of state and width.
///
/// Full: `results  [=====>      ]  42%  1.4 GB / 3.4 GB  120 files  34.5 MB/s  0:58 left`. While the total is unknown
/// there is no bar, no per cent and no time left, but `1.2 GB of ≥ 3.4 GB`. A transfer that waits or publishes says so
/// in place of rate and time. No colour, no control characters, no padding: whoever draws it clears the line before.
enum ProgressLine {
    /// What the line gives up, one after the other, until it fits.
    enum Layout: Int, CaseIterable, Comparable {
        case full
        case withoutFiles
        case withoutTotal
        case withoutRate
        case withoutTimeLeft
        case withoutBar
        /// Name and per cent (or bytes) alone, the name cut with `…`.
        case withCutName

        static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// The narrowest and the widest bar worth drawing, in columns with its brackets.
    private static let barColumns = 12...32
    private static let gap = "  "

    /// The line for `state`, at most `width` columns wide.
    static func draw(_ state: ProgressState, width: Int) -> String {
        let (_, line) = drawWithLayout(state, width: width)
        return line
    }

    /// The line, and the layout that was the first to fit.
    static func drawWithLayout(_ state: ProgressState, width: Int) -> (Layout, String) {
        // A name that takes more than a third of the line is cut in every layout, or a long one would leave
        // nothing but itself.
        let name = TerminalText.cut(state.name, to: max(24, width / 3))
        for layout in Layout.allCases where layout != .withCutName {
            let facts = facts(of: state, in: layout).joined(separator: gap)
            guard layout < .withoutBar, state.totalBytes != nil else {
                let line = name + gap + facts
                if TerminalText.columns(line) <= width { return (layout, line) }
                continue
            }
            let columns = width - TerminalText.columns(name + gap + gap + facts)
            if columns < barColumns.lowerBound { continue }
            let bar = bar(of: state, columns: min(columns, barColumns.upperBound))
            return (layout, name + gap + bar + gap + facts)
        }
        let facts = facts(of: state, in: .withCutName).joined(separator: gap)
        let columns = width - TerminalText.columns(gap + facts)
        guard columns >= 2 else { return (.withCutName, TerminalText.cut(facts, to: width)) }
        return (.withCutName, TerminalText.cut(name, to: columns) + gap + facts)
    }

    /// What stands behind name and bar.
    private static func facts(of state: ProgressState, in layout: Layout) -> [String] {
        var facts: [String] = []
        let done = ByteFormat.size(state.durableBytes)
        if let share = state.share(in: 100) {
            let percent = "\(share)%"
            facts.append(String(repeating: " ", count: 4 - percent.utf8.count) + percent)
        }
        if layout < .withoutTotal {
            if let total = state.totalBytes {
                facts.append("\(done) / \(ByteFormat.size(total))")
            } else {
                facts.append("\(done) of ≥ \(ByteFormat.size(max(state.knownBytes, state.durableBytes)))")
            }
        } else if layout < .withCutName || state.totalBytes == nil {
            facts.append(done)
        }
        if layout < .withoutFiles, state.filesDone > 1 { facts.append("\(state.filesDone) files") }
        switch state.phase {
        case .sending:
            if layout < .withoutRate { facts.append(ByteFormat.rate(state.rate)) }
            if layout < .withoutTimeLeft, let seconds = state.timeLeft {
                facts.append("\(ByteFormat.duration(seconds)) left")
            }
        case .publishing:
            facts.append("publishing")
        case .waiting(let reason):
            facts.append("waiting: \(reason)")
        }
        return facts
    }

    /// `[=====>    ]` in exactly `columns` columns, full only when no byte is missing.
    private static func bar(of state: ProgressState, columns: Int) -> String {
        let inside = columns - 2
        let filled = state.share(in: inside) ?? 0
        guard filled < inside else { return "[" + String(repeating: "=", count: inside) + "]" }
        return "[" + String(repeating: "=", count: filled) + ">"
            + String(repeating: " ", count: inside - filled - 1) + "]"
    }
}

/// How wide text is on a terminal: an estimate by scalars that errs on the narrow side of nothing common.
enum TerminalText {
    /// Blocks whose scalars take two columns: East Asian scripts, full-width forms, emoji.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
        0x1F900...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD,
    ]

    /// The columns that `text` takes.
    static func columns(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + columns($1) }
    }

    /// `text`, or as much of its start as leaves room for a final `…` within `width` columns.
    static func cut(_ text: String, to width: Int) -> String {
        guard columns(text) > width else { return text }
        guard width >= 1 else { return "" }
        var kept = String.UnicodeScalarView()
        var used = 1
        for scalar in text.unicodeScalars {
            used += columns(scalar)
            if used > width { break }
            kept.append(scalar)
        }
        return String(kept) + "…"
    }

    private static func columns(_ scalar: Unicode.Scalar) -> Int {
        if scalar.isASCII { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return wide.contains { $0.contains(scalar.value) } ? 2 : 1
        }
    }
}

/// Smooths the growth of a byte count over the last few seconds; pure, as time comes in as an argument.
struct RateMeter: Sendable, Equatable {
    /// How far back the rate looks, in seconds.
    static let window = 5.0
    /// Samples closer together than this replace each other, in seconds, so that their number stays bounded.
    private static let grain = 0.1

    private struct Sample: Equatable {
        var time: Double
        var bytes: UInt64
    }

    /// Oldest first, times rising; the first is the latest one that is at least `window` old, if there is one.
    private var samples: [Sample]

    /// How many samples are kept; bounded by window and grain.
    var sampleCount: Int { samples.count }

    /// Starts to count at `bytes`, so that what an earlier run delivered is no part of the rate.
    ///
    /// - Parameters:
    ///   - bytes: The count so far.
    ///   - time: The present, in seconds, from any origin.
    init(bytes: UInt64, at time: Double) {
        samples = [Sample(time: time, bytes: bytes)]
    }

    /// Takes note of a count; one that is smaller than the last (something must be sent anew) starts over from there.
    mutating func record(bytes: UInt64, at time: Double) {
        guard let last = samples.last, time >= last.time, bytes >= last.bytes else {
            samples = [Sample(time: max(time, samples.last?.time ?? time), bytes: bytes)]
            return
        }
        let start = time - Self.window
        if let first = samples.lastIndex(where: { $0.time <= start }) { samples.removeFirst(first) }
        if samples.count > 1, time - samples[samples.count - 2].time < Self.grain {
            samples[samples.count - 1] = Sample(time: time, bytes: bytes)
        } else {
            samples.append(Sample(time: time, bytes: bytes))
        }
    }

    /// Bytes per second over the window that ends at `time`; it falls to 0 when no count has grown for that long.
    func rate(at time: Double) -> Double {
        guard let last = samples.last, let oldest = samples.first else { return 0 }
        let start = max(time - Self.window, oldest.time)
        guard time > start, last.time > start else { return 0 }
        return (Double(last.bytes - oldest.bytes) - growth(until: start)) / (time - start)
    }

    /// Bytes from the oldest sample to `time`, which lies between the oldest and the latest; in between, a line.
    private func growth(until time: Double) -> Double {
        guard let oldest = samples.first, let after = samples.firstIndex(where: { $0.time > time }), after > 0
        else { return 0 }
        let (left, right) = (samples[after - 1], samples[after])
        let part = (time - left.time) / (right.time - left.time)
        return Double(left.bytes - oldest.bytes) + Double(right.bytes - left.bytes) * part
    }
}
