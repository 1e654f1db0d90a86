// SPDX-License-Identifier: MIT

import Descriptors
import RTunDaemon

/// How a command ended, in the words of its notification.
struct RunOutcome {
    /// The command and its arguments, as they were given.
    let command: [String]
    let ending: Termination
    /// Seconds.
    let elapsed: Double
    /// The last lines of its standard error; empty where they are not known.
    let lastLines: String

    /// The code that a shell gives: that of the command, or 128 and the number of the signal.
    var code: Int32 {
        switch ending {
        case .exited(let code): code
        case .signalled(let signal): 128 + signal
        }
    }

    var hasFailed: Bool { code != 0 }

    /// `done: make -j4`, `failed: make -j4`; a laptop that cuts it keeps the start.
    var title: String {
        let words = ([command.first?.split(separator: "/").last.map(String.init) ?? ""] + command.dropFirst())
            .joined(separator: " ")
        let shown = words.unicodeScalars.count > 40 ? String(words.prefix(39)) + "…" : words
        return (hasFailed ? "failed: " : "done: ") + shown
    }

    /// What ended it and when, then its last lines.
    var body: String {
        let time = ByteFormat.elapsed(elapsed)
        let first =
            switch ending {
            case .exited(0): "after \(time)"
            case .exited(let code): "exit code \(code) after \(time)"
            case .signalled(let signal): "ended by \(Self.name(of: signal)) (\(code)) after \(time)"
            }
        return lastLines.isEmpty ? first : first + "\n" + lastLines
    }

    /// Numbers that are the same on Linux and macOS have a name.
    private static func name(of signal: Int32) -> String {
        switch signal {
        case 1: "SIGHUP"
        case 2: "SIGINT"
        case 3: "SIGQUIT"
        case 4: "SIGILL"
        case 6: "SIGABRT"
        case 8: "SIGFPE"
        case 9: "SIGKILL"
        case 11: "SIGSEGV"
        case 13: "SIGPIPE"
        case 14: "SIGALRM"
        case 15: "SIGTERM"
        default: "signal \(signal)"
        }
    }
}
