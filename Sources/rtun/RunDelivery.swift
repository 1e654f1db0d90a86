// SPDX-License-Identifier: MIT

import Archive
import Descriptors

/// What happens when the command of `rtun run` has ended: a notification, then its files.
///
/// Each is done by an `rtun` of its own, so that nothing of it can touch the command's exit code.
struct RunDelivery {
    let outcome: RunOutcome
    let title: String?
    let notifies: Bool
    let sends: [String]
    let views: [String]
    let socket: String?

    /// How long a notification may keep the user's shell waiting.
    private static let noticeMilliseconds: Int32 = 5_000
    /// How long a send waits for a tunnel that breaks meanwhile.
    private static let wait = "30s"

    /// Delivers; says in one line if there is no tunnel.
    func deliver(by relay: inout ForegroundRelay) {
        let files = sends + views
        guard notifies || !files.isEmpty else { return }
        let notice = ["notify", "--title", title ?? outcome.title, "-"]
        let first = ask(notifies ? notice : ["ping"], says: notifies ? outcome.body : "", by: &relay)
        switch first {
        case .exited(0): break
        case .exited(ExitStatus.noTunnel.rawValue):
            let left = files.isEmpty ? "" : "; not sent: " + files.map(safe).joined(separator: ", ")
            StandardStream.error.line("rtun: no tunnel to your computer, so it was not told\(left)")
            return
        default:
            if notifies { StandardStream.error.line("rtun: your computer could not show the notification") }
        }
        for path in sends {
            guard transfer(["send", "--quiet", "--recursive", "--wait", Self.wait, "--", path], by: &relay) else {
                return
            }
        }
        for path in views {
            guard transfer(["view", "--quiet", "--", path], by: &relay) else { return }
        }
    }

    /// Runs a short command with this input, silently; nil where it did not end in time.
    private func ask(_ arguments: [String], says input: String, by relay: inout ForegroundRelay) -> Termination? {
        do {
            var words = try StreamTap.pipe()
            // Holds the little that it says, which nobody reads.
            let silence = try StreamTap.pipe()
            // At most 8 KiB: a pipe takes that at once.
            try Array(input.utf8).withSpan { (span: RawSpan) throws(SystemError) in try words.write(span) }
            try words.reading.setNonBlocking(false)
            words.closeWritingEnd()
            let streams = ForegroundRelay.Streams(
                input: words.reading.rawValue,
                output: silence.writingEnd,
                error: silence.writingEnd
            )
            try relay.start(program(arguments), streams)
            let deadline = ProcessContext.monotonicNow + .milliseconds(Self.noticeMilliseconds)
            while true {
                let left = (deadline - ProcessContext.monotonicNow) / .milliseconds(1)
                switch try relay.wait(milliseconds: Int32(max(0, left))) {
                case .ended(let ending): return ending
                case .timeout, .toldToEnd:
                    try relay.kill()
                    return nil
                case .readable, .resized: break
                }
            }
        } catch {
            return nil
        }
    }

    /// Runs a transfer to its end; false when the user wants no more of them.
    private func transfer(_ arguments: [String], by relay: inout ForegroundRelay) -> Bool {
        var isWanted = true
        do {
            // Results of ours are no output of the command.
            try relay.start(program(arguments), ForegroundRelay.Streams(output: 2))
            while true {
                switch try relay.wait() {
                case .ended: return isWanted
                case .toldToEnd: isWanted = false
                case .timeout, .readable, .resized: break
                }
            }
        } catch {
            StandardStream.error.line("rtun: \(safe(arguments.last ?? "")) was not sent: \(safe("\(error)"))")
            return isWanted
        }
    }

    /// This very program, also if its file was replaced since it was started.
    private func program(_ arguments: [String]) -> ForegroundRelay.Command {
        let file = ProcessContext.runningProgram
        let options = socket.map { ["--socket", $0] } ?? []
        return .program(file, name: "rtun", [arguments[0]] + options + arguments.dropFirst())
    }
}
