// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `rtun run` without a tunnel: the command must not notice it.
    @Suite("Running a command, no tunnel")
    struct RunTests {
        private let scratch = ScratchFolder("run")

        init() throws {
            try TreeMaker.folder(scratch.path + "/.rtun")
        }

        private func shell(_ script: String) async throws -> RunResult {
            try await ChildProcess.run(
                "/bin/bash",
                ["-c", script],
                environment: environment,
                folder: scratch.path,
                timeout: .seconds(30)
            )
        }

        private var environment: [String: String] {
            get throws {
                var environment = DaemonUnderTest.environment(home: scratch.path)
                environment["RTUN_DIR"] = scratch.path + "/.rtun"
                environment["rtun"] = try BuiltBinary.path()
                return environment
            }
        }

        @Test(
            "The exit code is the command's, or what a shell says of its end",
            arguments: [
                ("sh -c 'exit 3'", 3), ("true", 0), ("sh -c 'kill -9 $$'", 137), ("sh -c 'kill -SEGV $$'", 139),
                ("no-such-command-here", 127), ("/etc", 126), ("sh -c 'exit 255'", 255),
            ]
        )
        func exitCode(_ command: String, _ code: Int32) async throws {
            let result = try await shell("\"$rtun\" run -- \(command)")
            #expect(result.status == code, "\(result)")
            #expect(result.output.isEmpty, "\(result)")
            #expect(result.duration < .seconds(5))
            #expect(result.stderr.split(separator: "\n").filter { $0.contains("tunnel") }.count == 1, "\(result)")
        }

        @Test("Where nothing is to be told, nothing is said")
        func silent() async throws {
            let result = try await shell("\"$rtun\" run --notify failure -- sh -c 'echo out; echo err >&2'")
            #expect(result.status == 0 && result.stdout == "out\n" && result.stderr == "err\n", "\(result)")
        }

        @Test("What was not sent is named in the one line that tells of no tunnel")
        func oneLine() async throws {
            let result = try await shell("\"$rtun\" run --notify never --send a.csv --view b.png -- true")
            #expect(result.status == 0)
            #expect(result.stderr.split(separator: "\n").count == 1, "\(result)")
            #expect(result.stderr.contains("a.csv, b.png"), "\(result)")
        }

        @Test("Input, output, arguments and further descriptors pass byte for byte")
        func bytes() async throws {
            let result = try await shell(
                """
                printf 'in\\377put' | "$rtun" run -- sh -c 'cat; printf %s "$1"; echo three >&3' - $'a\\xffb' 3>three
                """
            )
            #expect(result.output == Array("in".utf8) + [0xFF] + Array("puta".utf8) + [0xFF] + Array("b".utf8))
            #expect(FileManager.default.contents(atPath: scratch.path + "/three") == Data("three\n".utf8))
        }

        @Test("A pipeline sees SIGPIPE and codes as without rtun")
        func pipeline() async throws {
            let result = try await shell(
                """
                "$rtun" run --notify never -- yes 2>err | head -n 1; echo "${PIPESTATUS[0]}"
                set -o pipefail; "$rtun" run --notify never -- false | cat; echo "$?"
                """
            )
            #expect(result.stdout == "y\n141\n1\n", "\(result)")
        }

        @Test("Signals to rtun reach the command, and ignored ones stay ignored")
        func signals() async throws {
            let result = try await shell(
                """
                "$rtun" run --notify never -- sh -c 'trap "echo got it; exit 9" TERM; echo up; sleep 20 & wait' >out &
                until [ -s out ]; do sleep 0.02; done
                kill -TERM $!; wait $!; echo "$?"; cat out
                trap '' HUP; "$rtun" run --notify never -- sh -c 'kill -HUP $$; echo alive'
                """
            )
            #expect(result.stdout == "9\nup\ngot it\nalive\n", "\(result)")
        }

        @Test("What the command leaves running keeps its standard error")
        func leftRunning() async throws {
            let result = try await shell(
                """
                "$rtun" run --notify never -- sh -c '(until [ -e go ]; do sleep 0.02; done; echo late >&2) & echo early >&2' \
                2> >(cat >err; touch ended)
                [ ! -e ended ] && touch go
                until [ -e ended ]; do sleep 0.02; done; cat err
                """
            )
            #expect(result.stdout == "early\nlate\n", "\(result)")
        }

        @Test("On a terminal Ctrl-C, Ctrl-Z, fg and the three terminals are the command's own")
        func jobControl() async throws {
            let terminal = try await TerminalSession(environment: environment, folder: scratch.path)
            terminal.type(
                "$rtun run --notify never -- sh -c 'trap \"echo in''terrupted; exit 7\" INT; echo u''p; sleep 60'\n"
            )
            try await terminal.expect("up\n")
            terminal.type("\u{3}")
            try await terminal.expect("interrupted")
            terminal.type("echo code=$?\n")
            try await terminal.expect("code=7")
            terminal.type("$rtun run --notify never -- sh -c 'echo u''p; exec cat'\n")
            try await terminal.expect("up\n")
            terminal.type("\u{1A}")
            try await terminal.expect("Stopped")
            try await terminal.expect("ready> ")
            terminal.type("fg\n")
            try await terminal.expect("exec cat'")
            terminal.type("words\n")
            try await terminal.expect("words\nwords\n")
            terminal.type("\u{3}")
            try await terminal.expect("ready> ")
            terminal.type("echo code=$?\n")
            try await terminal.expect("code=130")
            for option in ["", "--tail "] {
                terminal.type(
                    "$rtun run \(option)--notify never -- sh -c 'test -t 0 && test -t 1 && test -t 2 && echo th''ree'\n"
                )
                try await terminal.expect("three\n")
            }
        }
    }
}
