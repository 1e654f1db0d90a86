// SPDX-License-Identifier: MIT

import Archive
import FoundationEssentials
import RTunDaemon
import Synchronization
import Transfer

/// What the user sees of a send: a progress line, a line per problem, and one last line; or JSON lines.
///
/// Problems may be reported from any task. Everything that is not a result goes to standard error.
final class SendReport: Sendable {
    enum Mode {
        case text
        case quiet
        case json
    }

    /// Problems that are listed one by one; the rest is counted.
    private static let listedProblems = 1_000

    private struct State {
        var problemCount = 0
        var listed: [String] = []
        var hasLine = false
        var meter: RateMeter
    }

    private let mode: Mode
    private let showsProgress: Bool
    private let name: String
    private let state: Mutex<State>

    /// `name` is what the progress line is about; already safe.
    init(mode: Mode, showsProgress: Bool, name: String) {
        self.mode = mode
        self.showsProgress = showsProgress && mode == .text
        self.name = name
        state = Mutex(State(meter: RateMeter(bytes: 0, at: 0)))
    }

    /// Time between two `show`.
    var interval: Duration { mode == .json ? .seconds(1) : .milliseconds(200) }

    /// Sources that were not sent, or not as they stood.
    var problemCount: Int { state.withLock { $0.problemCount } }

    /// The first problems, a sentence each, for whoever keeps them.
    var listed: [String] { state.withLock { $0.listed } }

    func report(_ problem: SourceProblem) {
        state.withLock { state in
            if state.listed.count < OutboxResult.listed {
                state.listed.append("\(problem.path): \(problem.explanation)")
            }
            if !problem.isBenign {
                state.problemCount += 1
                guard state.problemCount <= Self.listedProblems else { return }
            }
            if mode == .json {
                JSONLine.write(ErrorLine(path: problem.path, reason: problem.explanation))
                return
            }
            if mode == .quiet, problem.isBenign { return }
            clear(&state)
            StandardStream.error.line("rtun: \(problem.shownPath): \(problem.explanation)")
        }
    }

    /// A line to the user that is neither a result nor a problem.
    func note(_ text: String) {
        guard mode != .quiet else { return }
        state.withLock { state in
            clear(&state)
            StandardStream.error.line("rtun: \(text)")
        }
    }

    /// A result that is one sentence.
    func tell(_ text: String) {
        if mode == .text { StandardStream.output.line(text) }
    }

    /// Draws progress; `total` is nil while the sources are still being counted.
    ///
    /// Elapsed in seconds.
    func show(_ progress: SendProgress, total: UInt64?, elapsed: Double) {
        if mode == .json {
            let share = total.map { $0 == 0 ? 1 : min(1, Double(progress.durableBytes) / Double($0)) }
            let count = problemCount
            JSONLine.write(
                StatusLine(
                    secondsElapsed: elapsed,
                    percentDone: share,
                    totalBytes: total,
                    bytesDone: progress.durableBytes,
                    filesDone: progress.files,
                    errorCount: count
                )
            )
            return
        }
        guard showsProgress else { return }
        state.withLock { state in
            state.meter.record(bytes: progress.durableBytes, at: elapsed)
            var shown = ProgressState(name: name, durableBytes: progress.durableBytes, totalBytes: total)
            shown.durableBytes += progress.hadBytes
            shown.resumedBytes = progress.hadBytes
            shown.knownBytes = progress.packedBytes
            shown.filesDone = progress.files
            shown.elapsed = elapsed
            shown.rate = state.meter.rate(at: elapsed)
            shown.phase = progress.isCommitting ? .publishing : .sending
            let line = ProgressLine.draw(shown, width: StandardStream.error.width - 1)
            StandardStream.error.write("\r\u{1B}[K" + line)
            state.hasLine = true
        }
    }

    /// Takes the progress line away.
    func clear() {
        state.withLock { clear(&$0) }
    }

    /// The last line: what arrived where.
    func finish(
        _ committed: Committed,
        laptop: String,
        progress: SendProgress,
        elapsed: Double,
        isVerified: Bool = true
    ) {
        clear()
        let problems = problemCount
        if problems > Self.listedProblems, mode != .json {
            StandardStream.error.line("rtun: and \(problems - Self.listedProblems) more that were not sent")
        }
        if committed.left > 0, mode == .text {
            let files = committed.left == 1 ? "file was" : "files were"
            StandardStream.error.line("rtun: \(committed.left) \(files) left out: another one stands there")
        }
        switch mode {
        case .quiet: break
        case .json:
            JSONLine.write(
                SummaryLine(
                    names: committed.names.map { $0.isEmpty ? nil : $0 },
                    laptop: laptop,
                    files: committed.files,
                    bytes: committed.bytes,
                    leftFiles: committed.left,
                    wireBytes: progress.wireBytes,
                    hadBytes: progress.hadBytes,
                    secondsElapsed: elapsed,
                    errorCount: problems,
                    verified: isVerified
                )
            )
        case .text:
            let already = progress.hadBytes > 0 ? " (\(ByteFormat.size(progress.hadBytes)) was there)" : ""
            let rate = elapsed > 0 ? Double(progress.durableBytes) / elapsed : 0
            StandardStream.output.line(
                "\(Self.destination(committed, laptop)): \(committed.files) \(committed.files == 1 ? "file" : "files"), "
                    + "\(ByteFormat.size(committed.bytes)), \(ByteFormat.size(progress.wireBytes)) over the wire\(already), "
                    + "\(ByteFormat.elapsed(elapsed)), \(ByteFormat.rate(rate))\(isVerified ? ", verified" : "")"
            )
        }
    }

    private static func destination(_ committed: Committed, _ laptop: String) -> String {
        let arrived = committed.names.filter { !$0.isEmpty }.map(safe)
        let same = committed.names.count - arrived.count
        let place = arrived.isEmpty ? "" : arrived.prefix(3).joined(separator: ", ")
        let more = arrived.count > 3 ? " and \(arrived.count - 3) more" : ""
        let already = same == 0 ? "" : same == committed.names.count ? "already there" : " (\(same) already there)"
        return "\(safe(laptop)): \(place)\(more)\(already)"
    }

    private func clear(_ state: inout State) {
        guard state.hasLine else { return }
        StandardStream.error.write("\r\u{1B}[K")
        state.hasLine = false
    }
}

/// One JSON object on a line of standard output; fields are only ever added.
enum JSONLine {
    static func write(_ value: some Encodable) {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { return }
        StandardStream.output.line(escaped(String(decoding: data, as: UTF8.self)))
    }

    /// JSON leaves DEL, C1 and direction characters as they are: they stand in strings alone, where `\u` may replace them.
    static func escaped(_ line: String) -> String {
        guard line.unicodeScalars.contains(where: \.isUnsafeForDisplay) else { return line }
        return line.unicodeScalars.map { scalar in
            guard scalar.isUnsafeForDisplay else { return String(scalar) }
            return String(scalar).utf16.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }.joined()
    }
}

private struct StatusLine: Encodable {
    var messageType = "status"
    let secondsElapsed: Double
    let percentDone: Double?
    let totalBytes: UInt64?
    let bytesDone: UInt64
    let filesDone: Int
    let errorCount: Int
}

private struct ErrorLine: Encodable {
    var messageType = "error"
    let path: String
    let reason: String
}

private struct SummaryLine: Encodable {
    var messageType = "summary"
    let names: [String?]
    let laptop: String
    let files: UInt64
    let bytes: UInt64
    let leftFiles: UInt64
    let wireBytes: UInt64
    let hadBytes: UInt64
    let secondsElapsed: Double
    let errorCount: Int
    let verified: Bool
}
