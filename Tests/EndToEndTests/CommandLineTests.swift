// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Commands that cannot do what they were asked, and say why.
    @Suite("Without a tunnel, and with the wrong words")
    struct CommandLineTests {
        private let scratch = ScratchFolder("cli")
        private var environment: [String: String] { DaemonUnderTest.environment(home: scratch.path) }
        private var state: String { scratch.path + "/.rtun" }

        init() throws {
            try FileManager.default.createDirectory(
                atPath: state,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            try TreeMaker.write("text\n", to: scratch.path + "/file.txt")
        }

        private func rtun(_ arguments: [String]) async throws -> RunResult {
            try await BuiltBinary.run(
                arguments,
                environment: environment,
                folder: scratch.path,
                timeout: .seconds(30)
            )
        }

        @Test(
            "Without a socket, a command ends with 3 at once and says what to do",
            arguments: [["ping"], ["notify", "done"], ["send", "file.txt"], ["view", "file.txt"]]
        )
        func noSocket(_ arguments: [String]) async throws {
            let result = try await rtun(arguments)
            #expect(result.status == 3, "\(result)")
            #expect(result.duration < .seconds(5))
            #expect(result.output.isEmpty)
            #expect(result.stderr.contains("ssh"), "\(result)")
        }

        @Test(
            "What was typed wrongly is repeated without its control characters",
            arguments: [
                ["send", "--progress", "\u{1B}[31mred", "file.txt"], ["send", "--\u{1B}]0;x\u{7}", "file.txt"],
                ["notify", "-u", "\u{9B}5m\u{202E}", "x"], ["\u{1B}c"], ["send", "-o", "\u{1B}c/", "no\u{1B}such"],
            ]
        )
        func controlCharacters(_ arguments: [String]) async throws {
            let result = try await rtun(arguments)
            #expect(result.status != 0, "\(result)")
            let isSafe = !(result.stdout + result.stderr).unicodeScalars.contains {
                ($0.value < 0x20 && $0 != "\n") || (0x7F...0x9F).contains($0.value) || $0.value == 0x202E
            }
            #expect(isSafe && !result.stderr.isEmpty, "\(result.stderr.debugDescription)")
        }

        @Test("Names that are no text are listed so that they can be told apart, on the terminal and as JSON")
        func namesThatAreNoText() async throws {
            try TreeMaker.folder(scratch.path + "/odd")
            for byte in [UInt8(0xE8), 0xE9] {
                let path = Array((scratch.path + "/odd/caf").utf8) + [byte, 0]
                let descriptor = path.withUnsafeBufferPointer { bytes in
                    bytes.withMemoryRebound(to: CChar.self) { open($0.baseAddress!, O_CREAT | O_WRONLY, 0o600) }
                }
                // APFS takes no such names.
                guard descriptor >= 0 else { return }
                close(descriptor)
            }
            let shown = try await rtun(["send", "-n", "-r", "odd"])
            #expect(shown.status == 5, "\(shown)")
            #expect(shown.stderr.contains("odd/caf\\xe8: ") && shown.stderr.contains("odd/caf\\xe9: "), "\(shown)")
            let lines = try await rtun(["send", "-n", "-r", "--json", "odd"])
            #expect(Set(lines.outputLines.filter { $0.contains("caf") }).count == 2, "\(lines)")
        }

        @Test("A socket on which nobody listens is no tunnel, and is cleared away")
        func deadSocket() async throws {
            let dead = state + "/rtun.sock.dead"
            try SilentListener.leaveDeadSocket(at: dead)
            let result = try await rtun(["ping"])
            #expect(result.status == 3, "\(result)")
            #expect(result.duration < .seconds(5))
            #expect(!FileManager.default.fileExists(atPath: dead))
        }

        @Test(
            "Where a connection opens and nobody answers, the laptop daemon is what is missing",
            arguments: [["ping"], ["send", "file.txt"]]
        )
        func silentDaemon(_ arguments: [String]) async throws {
            let path = state + "/rtun.sock.silent"
            let listener = try SilentListener(at: path)
            let result = try await rtun(arguments)
            #expect(result.status == 3, "\(result)")
            #expect(result.duration < .seconds(5))
            #expect(result.stderr.contains("laptop daemon"), "\(result)")
            #expect(FileManager.default.fileExists(atPath: path), "a socket that is merely slow was removed")
            withExtendedLifetime(listener) {}
        }

        @Test("What is no socket is never removed, whatever its name")
        func notASocket() async throws {
            let path = state + "/rtun.sock.notes"
            try TreeMaker.write("mine\n", to: path)
            let result = try await rtun(["ping"])
            #expect(result.status == 3, "\(result)")
            #expect(FileManager.default.fileExists(atPath: path))
        }

        @Test(
            "Words that make no sense end with 64",
            arguments: [
                ["frobnicate"], ["send"], ["view"], ["ping", "--nonsense"], ["notify", "-u", "loud", "done"],
                ["send", "--name"], ["send", "--conflict", "maybe", "file.txt"],
                ["send", "--channels", "-1", "file.txt"],
                ["send", "-"], ["run"],
            ]
        )
        func usage(_ arguments: [String]) async throws {
            let result = try await rtun(arguments)
            #expect(result.status == 64, "\(result)")
            #expect(result.output.isEmpty, "\(result)")
            #expect(!result.stderr.isEmpty)
        }

        @Test("Help and version need no tunnel", arguments: [["--help"], ["--version"], ["help", "send"]])
        func help(_ arguments: [String]) async throws {
            let result = try await rtun(arguments)
            #expect(result.status == 0, "\(result)")
            #expect(!result.output.isEmpty)
        }

        @Test(
            "The daemon refuses an inbox that would give the server more than an inbox",
            arguments: ["/", "HOME", "HOME/", "HOME/.config", "HOME/link"],
            [[], ["-d"]]
        )
        func inboxRefused(_ inbox: String, _ mode: [String]) async throws {
            try TreeMaker.folder(scratch.path + "/.config")
            try TreeMaker.folder(scratch.path + "/elsewhere")
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path + "/link",
                withDestinationPath: scratch.path + "/elsewhere"
            )
            let path = inbox.replacingOccurrences(of: "HOME", with: scratch.path)
            let result = try await rtun(["server", "-D", path] + mode)
            #expect(result.status != 0, "\(result)")
            #expect(!result.timedOut, "the daemon runs with the inbox \(path)")
            #expect(result.stderr.contains("inbox"), "\(result)")
            #expect(!FileManager.default.fileExists(atPath: state + "/rtun.sock"))
            if result.status == 0 {
                _ = try await rtun(["server", "--stop"])
            }
        }

        @Test("The daemon in the background is ready when the command returns, and goes when it is told to")
        func background() async throws {
            let inbox = scratch.path + "/inbox"
            let started = try await rtun(["server", "-d", "-D", inbox])
            #expect(started.status == 0, "\(started)")
            let answer = try await rtun(["ping"])
            #expect(answer.outputLines.first == "OK PONG", "\(answer)")
            let again = try await rtun(["server", "-d", "-D", inbox])
            #expect(again.status == 0, "\(again)")
            #expect((again.stdout + again.stderr).contains("already"), "\(again)")
            let stopped = try await rtun(["server", "--stop"])
            #expect(stopped.status == 0, "\(stopped)")
            let after = try await rtun(["ping"])
            #expect(after.status == 3, "\(after)")
        }
    }
}
