// SPDX-License-Identifier: MIT
import Archive

/// A notification for the user of this desktop, as the peer worded it.
package struct DesktopNotice: Equatable, Sendable {
    /// How much it should stand out.
    package enum Urgency: String, Sendable, CaseIterable {
        case low
        case normal
        case critical
    }

    /// Whose words these are.
    package enum Origin: Equatable, Sendable {
        /// A host known by the socket that this laptop made for it.
        case label(String)
        /// Whoever uses the plain socket; the name is the peer's own claim.
        case unverified(name: String)
    }

    package var title: String
    package var body: String
    package var urgency: Urgency
    package var origin: Origin
    /// Seconds after which it may go; nil leaves that to the desktop.
    package var expiry: UInt64?

    /// The longest expiry: a day.
    static let longestExpiry: UInt64 = 86_400

    package init(title: String, body: String, urgency: Urgency = .normal, origin: Origin, expiry: UInt64? = nil) {
        self.title = title
        self.body = body
        self.urgency = urgency
        self.origin = origin
        self.expiry = expiry
    }
}

extension DesktopNotice.Origin {
    /// What stands before every title; a peer's name cannot close the bracket early.
    package var prefix: String {
        switch self {
        case .label(let label): "[\(SafeText(label, limit: 24))] "
        case .unverified(let name): "[unverified: \(SafeText(name.filter { $0 != "]" }, limit: 24))] "
        }
    }

    /// Under which name `NotificationBudget` counts: all of the plain socket together, as names there cost nothing.
    package var budgetName: String {
        switch self {
        case .label(let label): label
        case .unverified: "the plain socket"
        }
    }
}

/// Shows notifications: `osascript` on macOS, `notify-send` elsewhere.
///
/// The peer's text is only ever an argument after `--`: it is no part of a script, a shell line, markup or an option.
package struct Notifier: Sendable {
    /// What became of a notification.
    package enum Outcome: Equatable, Sendable {
        /// It is shown, under this number of the desktop's where that is known.
        case shown(number: UInt32?)
        /// The desktop refused it, or did not answer in time. The reason is a sentence.
        case failed(reason: String)
        /// There is no program here that shows notifications. The reason is a sentence.
        case unavailable(reason: String)
    }

    /// The programs that can show a notification.
    package enum Program: String, Sendable {
        case notifySend = "notify-send"
        case osascript

        /// The one of the platform this was built for.
        package static var current: Program {
            #if os(macOS)
            .osascript
            #else
            .notifySend
            #endif
        }
    }

    /// The longest title and body, prefix included, in Unicode scalars as the user sees them.
    package static let titleLimit = 64
    package static let bodyLimit = 512

    private let program: Program
    private let desktop: DesktopProgram

    /// Makes a notifier; nothing is looked up before the first notice.
    ///
    /// - Parameters:
    ///   - program: what shows the notices.
    ///   - environment: variables that replace (or, with nil, remove) those of this process for that program.
    ///   - timeout: how long it may take before it is killed.
    package init(
        program: Program = .current,
        environment: [String: String?] = [:],
        timeout: Duration = .seconds(10)
    ) {
        self.program = program
        self.desktop = DesktopProgram(name: program.rawValue, environment: environment, timeout: timeout)
    }

    /// Shows one notice and waits until the desktop has taken it.
    ///
    /// With `replacing`, the number of an earlier one, it takes that one's place. How many are shown is the matter of
    /// `NotificationBudget`.
    package func show(_ notice: DesktopNotice, replacing number: UInt32? = nil) async -> Outcome {
        if program == .notifySend {
            let options = ["--print-id"] + (number.map { ["--replace-id=\($0)"] } ?? [])
            let (ending, output) = await desktop.runReading(options + Self.arguments(for: notice, program: program))
            if ending == .exited(code: 0) { return .shown(number: UInt32(output.filter { $0.isNumber })) }
            guard ending == .exited(code: 1) else { return outcome(of: ending) }
            // Before libnotify 0.7.10 there were no numbers.
        }
        return outcome(of: await desktop.run(Self.arguments(for: notice, program: program)))
    }

    /// Shows one notice with a button; true once the user has pressed it, false when the notice is gone.
    ///
    /// Where the desktop has no buttons, or notify-send is older than 0.7.10, it is shown without.
    package func show(_ notice: DesktopNotice, offering button: String, for patience: Duration) async -> Bool {
        guard program == .notifySend else {
            _ = await show(notice)
            return false
        }
        let waiting = DesktopProgram(name: desktop.name, environment: desktop.environment, timeout: patience)
        let arguments = ["--action=pressed=\(button)"] + Self.arguments(for: notice, program: program)
        let (ending, output) = await waiting.runReading(arguments)
        if ending == .exited(code: 1) { _ = await show(notice) }
        return output.hasPrefix("pressed")
    }

    private func outcome(of ending: DesktopProgram.Ending) -> Outcome {
        switch ending {
        case .exited(code: 0): .shown(number: nil)
        case .notFound: .unavailable(reason: ending.reason(program: program.rawValue))
        case .exited, .killed, .stopped, .leftRunning, .notStarted:
            .failed(reason: ending.reason(program: program.rawValue))
        }
    }

    /// The arguments that show `notice`, without the program's own name.
    package static func arguments(for notice: DesktopNotice, program: Program = .current) -> [String] {
        let prefix = notice.origin.prefix
        let words = SafeText(notice.title, limit: titleLimit - prefix.unicodeScalars.count).description
        let title = prefix + (words.isEmpty ? "rtun" : words)
        let body = SafeText(notice.body, limit: bodyLimit, layout: .block).description
        switch program {
        case .notifySend:
            let expiry = notice.expiry.map { ["--expire-time=\($0 * 1_000)"] } ?? []
            return ["--app-name=rtun", "--urgency=\(notice.urgency.rawValue)"] + expiry
                + ["--", title, escapingForNotifySend(body)]
        case .osascript:
            return [
                "-e", "on run argv",
                "-e", "display notification (item 2 of argv) with title (item 1 of argv)",
                "-e", "end run",
                "--", title, body,
            ]
        }
    }

    /// Escapes what a notification server would read as markup, which the specification allows in bodies alone, and
    /// the backslashes, as notify-send passes bodies through g_strcompress(3) and would undo the escapes of `SafeText`.
    private static func escapingForNotifySend(_ body: String) -> String {
        var escaped = ""
        for scalar in body.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
