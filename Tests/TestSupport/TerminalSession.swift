// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import Foundation
internal import Synchronization

/// An interactive bash on a terminal of its own, with job control, typed into and read as a person does.
package final class TerminalSession: Sendable {
    private let controlling: Int32
    private let identifier: Int32
    private let screen = Mutex("")

    /// Starts bash with this environment and waits for its prompt.
    ///
    /// - Parameters:
    ///   - environment: its whole environment.
    ///   - folder: where it runs.
    /// - Throws: `TestSupportFailure` when there is no terminal or no prompt.
    package init(environment: [String: String], folder: String) async throws {
        var ends: (controlling: Int32, terminal: Int32) = (-1, -1)
        guard descriptors_terminal_open(-1, &ends.controlling, &ends.terminal) == 0, let name = ttyname(ends.terminal)
        else { throw TestSupportFailure("there is no pseudo-terminal") }
        controlling = ends.controlling
        // Open here until the shell has it, or reading would end at once.
        defer { close(ends.terminal) }
        let path = String(cString: name)
        // A session leader without a terminal gets the first one that it opens.
        let script = "cd \"$1\"; exec bash --norc --noprofile -i <\"$0\" >\"$0\" 2>&1"
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        identifier = try Spawn(
            executable: "/bin/sh",
            arguments: ["-c", script, path, folder],
            environment: environment.merging(["PS1": "ready> ", "TERM": "dumb"]) { $1 },
            folder: nil,
            descriptors: [null, null, null],
            leadsSession: true
        ).start()
        try await expect("ready> ")
    }

    deinit {
        kill(identifier, SIGKILL)
        var status: Int32 = 0
        waitpid(identifier, &status, 0)
        close(controlling)
    }

    /// Types these characters; `\u{3}` is Ctrl-C, `\u{1A}` Ctrl-Z.
    package func type(_ keys: String) {
        let bytes = Array(keys.utf8)
        _ = write(controlling, bytes, bytes.count)
    }

    /// Waits until the terminal shows this text behind what was expected before.
    ///
    /// - Throws: `TestSupportFailure` with all that is shown when that takes longer than 20 s.
    package func expect(_ text: String) async throws {
        let found = await Waiting.until(within: .seconds(20)) { self.read(until: text) }
        guard found else {
            throw TestSupportFailure(
                "the terminal does not show \(text.debugDescription) but: \(screen.withLock { $0 })"
            )
        }
    }

    private func read(until text: String) -> Bool {
        var ready = pollfd(fd: controlling, events: Int16(POLLIN), revents: 0)
        var bytes = [UInt8](repeating: 0, count: 4_096)
        while poll(&ready, 1, 0) > 0 {
            let count = Foundation.read(controlling, &bytes, bytes.count)
            if count <= 0 { break }
            screen.withLock { $0 += String(decoding: bytes[..<count], as: UTF8.self) }
        }
        return screen.withLock { screen in
            guard let range = screen.range(of: text) else { return false }
            screen = String(screen[range.upperBound...])
            return true
        }
    }
}
