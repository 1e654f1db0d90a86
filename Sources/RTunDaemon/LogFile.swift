// SPDX-License-Identifier: MIT
import Archive
package import Descriptors
package import Logging
import Synchronization
import SystemPackage

/// The daemon's log: one file that rotates, mode 0600, in which every line is safe to print.
///
/// Lines look like `2026-11-22T23:40:01.123Z info rtun.daemon label=gpu01: listening`. Messages and values pass
/// `SafeText` here, so callers hand them over as they came. Writing never throws and never waits for space: what a
/// full disk swallows is counted, and the count is written when there is space again. Lines that a peer can cause (they
/// carry the metadata key `peer`) draw on a small budget; what exceeds it is counted the same way.
package final class LogFile: Sendable {
    /// The metadata key that marks a line as caused by a peer.
    package static let peerKey = "peer"
    /// How large a file may grow, in bytes, and how many there are: the current one and `.1` to `.4`.
    package static let sizeLimit: Int64 = 1 << 20
    package static let fileCount = 5

    /// What a message and a value are cut to, in Unicode scalars.
    private static let messageLimit = 4096
    private static let valueLimit = 512

    private struct State: ~Copyable {
        /// Nil after a failure, until opening succeeds again.
        var file: OwnedDescriptor?
        var budget: TokenBucket
        /// Lines of peers over the budget, and lines that could not be written, since the last one that could.
        var suppressed = 0
        var lost = 0
        /// True when a write failed, perhaps in the middle of a line.
        var isTorn = false
    }

    private let directory: Directory
    private let name: String
    private let sizeLimit: Int64
    private let wallClock: @Sendable () -> Timestamp
    private let monotonicClock: @Sendable () -> Duration
    private let state: Mutex<State>

    /// Opens the log, and makes it if it does not exist.
    ///
    /// A symbolic link under its name is refused.
    ///
    /// - Parameters:
    ///   - directory: the folder of the log and of its older files.
    ///   - name: the file, one path component.
    ///   - sizeLimit: bytes after which the next line begins a new file.
    ///   - wallClock: the time that lines carry.
    ///   - monotonicClock: the time since some fixed moment, for the budget of peers.
    /// - Throws: when the file cannot be opened now; later failures only cost lines.
    package init(
        in directory: Directory,
        name: String = "rtun.log",
        sizeLimit: Int64 = LogFile.sizeLimit,
        wallClock: @escaping @Sendable () -> Timestamp = Timestamp.now,
        monotonicClock: (@Sendable () -> Duration)? = nil
    ) throws(SystemError) {
        let start = ContinuousClock.now
        self.directory = directory
        self.name = name
        self.sizeLimit = sizeLimit
        self.wallClock = wallClock
        self.monotonicClock = monotonicClock ?? { start.duration(to: .now) }
        let file = try Self.open(name, in: directory)
        state = Mutex(State(file: file, budget: TokenBucket(capacity: 30, interval: .seconds(2))))
    }

    /// A handler for `Logger(label:factory:)` or `LoggingSystem.bootstrap(_:)` that writes here.
    package func handler(label: String) -> LogFileHandler {
        LogFileHandler(label: label, file: self)
    }

    /// Closes the file and opens whatever has its name now: what SIGHUP asks for after an outside rotation.
    package func reopen() {
        state.withLock { state in
            // Kept open if its successor cannot be opened: old lines in a moved file are better than none.
            guard let file = try? Self.open(name, in: directory) else { return }
            state.file = consume file
        }
    }

    /// Writes one line; `fromPeer` says that a peer can cause it at will.
    func write(
        level: Logger.Level,
        label: String,
        metadata: Logger.Metadata,
        message: String,
        fromPeer: Bool
    ) {
        state.withLock { state in
            if fromPeer, !state.budget.take(at: monotonicClock()) {
                state.suppressed += 1
                return
            }
            let time = wallClock().text
            var text = state.isTorn ? "\n" : ""
            if state.suppressed > 0 {
                text += "\(time) notice rtun.log: \(state.suppressed) lines suppressed that peers caused\n"
            }
            if state.lost > 0 {
                text += "\(time) warning rtun.log: \(state.lost) lines lost that could not be written\n"
            }
            text += "\(time) \(level) \(SafeText(label, limit: 64))\(Self.text(of: metadata)): "
            text += "\(SafeText(message, limit: Self.messageLimit))\n"
            append(text, to: &state)
        }
    }

    private func append(_ text: String, to state: inout State) {
        do throws(SystemError) {
            try prepare(&state, for: Int64(text.utf8.count))
        } catch {
            state.lost += 1
            return
        }
        var text = text
        let isWritten = text.withUTF8 { bytes in
            do throws(SystemError) {
                try state.file?.writeAll(UnsafeRawBufferPointer(bytes).bytes)
                return true
            } catch {
                return false
            }
        }
        if isWritten {
            state.suppressed = 0
            state.lost = 0
            state.isTorn = false
        } else {
            state.lost += 1
            state.isTorn = true
        }
    }

    /// Sees to it that the file is open, still has its name and has room for so many more bytes.
    private func prepare(_ state: inout State, for length: Int64) throws(SystemError) {
        if state.file == nil {
            state.file = try Self.open(name, in: directory)
        }
        guard let status = try state.file?.status(), status.kind == .file else { return }
        let isDeleted = status.linkCount == 0
        guard isDeleted || (status.size > 0 && status.size + length > sizeLimit) else { return }
        if !isDeleted, let named = try directory.statusIfPresent(name), named.isSameFile(as: status) {
            try rotate()
        }
        // If the name belongs to another file already, somebody else has rotated.
        state.file = nil
        state.file = try Self.open(name, in: directory)
    }

    /// Moves every file one number up; the last one is replaced.
    private func rotate() throws(SystemError) {
        for number in stride(from: Self.fileCount - 2, through: 1, by: -1) {
            do throws(SystemError) {
                try directory.rename("\(name).\(number)", to: "\(name).\(number + 1)", in: directory)
            } catch {
                guard error.errno == .noSuchFileOrDirectory else { throw error }
                // Not that many yet.
            }
        }
        try directory.rename(name, to: "\(name).1", in: directory)
    }

    private static func open(_ name: String, in directory: Directory) throws(SystemError) -> OwnedDescriptor {
        let file = try directory.openForAppending(name, mode: 0o600)
        let status = try file.status()
        // A file of an older version or of the user's making may be readable for others.
        if status.kind == .file, status.mode != 0o600 {
            try file.setMode(0o600)
        }
        return file
    }

    /// ` key=value key="two words"`, sorted by key; the message comes after it and cannot imitate it.
    private static func text(of metadata: Logger.Metadata) -> String {
        metadata.sorted { $0.key < $1.key }.map { key, value in
            let value = SafeText("\(value)", limit: valueLimit).description
            let isPlain = !value.isEmpty && !value.contains { $0 == " " || $0 == "\"" || $0 == "=" || $0 == ":" }
            // In SafeText every backslash is part of a pair, so this one is unambiguous.
            let quoted = value.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
            return " \(SafeText(key, limit: 64))=" + (isPlain ? value : "\"\(quoted)\"")
        }.joined()
    }
}

/// The swift-log handler of a `LogFile`: a value with a level and metadata of its own.
package struct LogFileHandler: LogHandler {
    package var logLevel: Logger.Level = .info
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let file: LogFile

    fileprivate init(label: String, file: LogFile) {
        self.label = label
        self.file = file
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        if let error = event.error { all["error"] = "\(error)" }
        file.write(
            level: event.level,
            label: label,
            metadata: all,
            message: event.message.description,
            fromPeer: all[LogFile.peerKey] != nil
        )
    }
}

/// So many at once, and one more each interval.
private struct TokenBucket {
    private let capacity: Int
    private let interval: Duration
    private var tokens: Int
    private var countedUntil: Duration?

    init(capacity: Int, interval: Duration) {
        self.capacity = capacity
        self.interval = interval
        tokens = capacity
    }

    /// Takes a token if there is one; `now` is the time of a monotonic clock.
    mutating func take(at now: Duration) -> Bool {
        let since = countedUntil ?? now
        let earned = Int(min(Double(capacity), max(0, (now - since) / interval)))
        tokens = min(capacity, tokens + earned)
        // A full bucket earns nothing; else the rest of the interval counts for the next token.
        countedUntil = tokens == capacity ? now : since + interval * earned
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}
