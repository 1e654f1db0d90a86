// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors

/// One command in this process's place, from its start to its end.
struct CommandRun: ~Copyable {
    /// Also runs what follows the command.
    var relay: ForegroundRelay

    private let command: [String]
    private let position: Int
    private var tap: StreamTap?
    private var lastLines = LastLines()

    /// Lines of standard error in a notification, and scalars of each.
    private static let shownLines = 5
    private static let shownColumns = 120

    /// `command` is the end of this process's own command line.
    ///
    /// Where signals cannot be caught, or there is no memory for a second process, the command replaces this one and
    /// nobody is told of its end.
    init(_ command: [String], tail: Bool) throws {
        self.command = command
        position = Int(CommandLine.argc) - command.count
        let isTerminal = StandardStream.error.isTerminal
        do throws(SystemError) {
            relay = try ForegroundRelay(keepsTerminalOutput: tail && isTerminal)
        } catch {
            let failure = ForegroundRelay.replace(with: .ownArguments(from: position))
            throw ExitCode(Self.failed(failure, command).code)
        }
        // Without a tap the command gets standard error itself, and the last lines stay unknown.
        if !isTerminal {
            tap = try? StreamTap.pipe()
        } else if tail {
            tap = try? StreamTap.terminal(like: 2)
        }
    }

    /// Starts it and waits; a command that cannot be run ends as a shell says: 127 not found, 126 anything else.
    mutating func run() throws -> RunOutcome {
        let start = ProcessContext.monotonicNow
        do throws(SystemError) {
            try relay.start(.ownArguments(from: position), ForegroundRelay.Streams(error: tap?.writingEnd))
        } catch {
            let failure = error.isShortage ? ForegroundRelay.replace(with: .ownArguments(from: position)) : error
            return Self.failed(failure, command)
        }
        tap?.closeWritingEnd()
        let slab = try Slab(capacity: 64 << 10)
        while true {
            switch try relay.wait(watching: tap?.reading.rawValue) {
            case .ended(let ending):
                let elapsed = (ProcessContext.monotonicNow - start) / .seconds(1)
                while pump(slab) {}
                leaveTap()
                return RunOutcome(
                    command: command,
                    ending: ending,
                    elapsed: elapsed,
                    lastLines: lastLines.text(lines: Self.shownLines, width: Self.shownColumns)
                )
            case .readable: _ = pump(slab)
            case .resized: tap?.resize(like: 2)
            case .toldToEnd, .timeout: break
            }
        }
    }

    /// Passes on what the command has written; false when there is nothing more now.
    private mutating func pump(_ slab: Slab) -> Bool {
        do {
            switch try tap?.read(into: slab) {
            case .bytes(let count):
                try slab.withBytes(0..<count) { (span) throws(SystemError) in
                    lastLines.append(span)
                    try StandardStream.error.pass(span)
                }
                return true
            case .nothingYet: return false
            case .ended, nil: break
            }
        } catch {
            // Nobody reads standard error any more: the command learns of it at its next line, by SIGPIPE or EPIPE.
        }
        tap = nil
        return false
    }

    /// Processes that the command left behind still write to the tap: `cat` passes that on for as long as they do.
    private mutating func leaveTap() {
        guard let number = tap?.reading.rawValue else { return }
        do {
            try tap?.reading.setNonBlocking(false)
            try relay.start(
                .program("sh", name: "sh", ["-c", "exec cat 2>/dev/null"]),
                ForegroundRelay.Streams(input: number, output: 2),
                newSession: true
            )
        } catch {
            StandardStream.error.line("rtun: what the command left running has lost its standard error")
        }
        tap = nil
    }

    /// Says why the command cannot be run.
    private static func failed(_ error: SystemError, _ command: [String]) -> RunOutcome {
        let reason = "\(command[0]): \(error.isMissingFile ? "command not found" : error.reasonText)"
        StandardStream.error.line("rtun: \(safe(reason))")
        return RunOutcome(
            command: command,
            ending: .exited(error.isMissingFile ? 127 : 126),
            elapsed: 0,
            lastLines: reason
        )
    }
}
