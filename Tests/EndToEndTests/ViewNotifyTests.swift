// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What the laptop opens and shows, recorded by programs that stand in for the desktop's.
    @Suite("Viewing and notifying", .daemon)
    struct ViewNotifyTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("view")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        /// The eight bytes that begin every PNG, then what makes this one recognisable.
        static func picture(_ text: String) -> [UInt8] {
            [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13] + Array("IHDR\(text)".utf8)
        }

        private func rtun(_ arguments: String..., input: ChildProcess.Input = .nothing) async throws -> RunResult {
            try await BuiltBinary.run(
                arguments,
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: input
            )
        }

        private func opened(_ contents: [UInt8]) async -> RecordingDesktop.Call? {
            let desktop = daemon.desktop
            _ = await Waiting.until { desktop.opened().contains { $0.contents == contents } }
            return desktop.opened().first { $0.contents == contents }
        }

        private func notified(_ word: String) async -> RecordingDesktop.Call? {
            let desktop = daemon.desktop
            _ = await Waiting.until {
                desktop.notifications().contains { $0.arguments.contains { $0.contains(word) } }
            }
            return desktop.notifications().first { $0.arguments.contains { $0.contains(word) } }
        }

        @Test("A picture is opened, byte for byte, under a name with its extension", arguments: ["view", "open"])
        func picture(_ command: String) async throws {
            let bytes = Self.picture("seen by \(command)")
            try TreeMaker.write(bytes, to: "\(source.path)/plot \(command).png")
            let result = try await rtun(command, "plot \(command).png")
            #expect(result.status == 0, "\(result)")
            let call = try #require(await opened(bytes))
            #expect(call.arguments.last?.hasSuffix(".png") == true)
            #expect(call.arguments.last?.hasPrefix("/") == true)
        }

        @Test("A desktop that hangs is told of in one sentence, before the tunnel counts as gone")
        func hangingDesktop() async throws {
            let daemon = try await DaemonUnderTest.start()
            for program in ["notify-send", "osascript", "xdg-open", "open"] {
                try TreeMaker.write("#!/bin/sh\nexit 7\n", to: "\(daemon.desktop.folder)/\(program)", mode: 0o755)
            }
            try TreeMaker.write(Self.picture("hangs"), to: source.path + "/hangs.png")
            let failed = try await daemon.rtun("view", source.path + "/hangs.png")
            #expect(failed.status == 1 && failed.stderr.contains("could not open it"), "\(failed)")
            for program in ["notify-send", "osascript"] {
                try TreeMaker.write(
                    "#!/bin/sh\nexec sleep 60\n",
                    to: "\(daemon.desktop.folder)/\(program)",
                    mode: 0o755
                )
            }
            let hung = try await daemon.rtun("notify", "hi")
            #expect(hung.status == 1 && hung.stderr.contains("could not show the notification"), "\(hung)")
        }

        @Test("Misuse is one sentence and 64", arguments: [["view", "."], ["view", "-"], ["notify"], ["send", "."]])
        func misuse(_ arguments: [String]) async throws {
            let result = try await BuiltBinary.run(
                arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
            #expect(result.status == 64, "\(result)")
            #expect(!result.stderr.contains("rtun <subcommand>"), "\(result)")
            if arguments[0] == "view" { #expect(!result.stderr.contains("send it with -r"), "\(result)") }
        }

        @Test("Standard input is opened under the name that was given")
        func standardInput() async throws {
            let bytes = Self.picture("from a pipe")
            let result = try await rtun("view", "-", "--name", "piped.png", input: .bytes(bytes))
            #expect(result.status == 0, "\(result)")
            #expect(await opened(bytes) != nil)
        }

        @Test("Text is opened")
        func text() async throws {
            try TreeMaker.write("a,b\n1,2\n", to: source.path + "/table.csv")
            let result = try await rtun("view", "table.csv")
            #expect(result.status == 0, "\(result)")
            #expect(await opened(Array("a,b\n1,2\n".utf8)) != nil)
        }

        @Test(
            "What could run, or is not what its name says, is kept and not opened, and the user is told",
            arguments: [
                ("disguised.png", "#!/bin/sh\ntouch /tmp/ran\n"),
                ("start.desktop", "[Desktop Entry]\nExec=/bin/sh\n"),
                ("script.sh", "#!/bin/sh\n"),
                ("page.html", "<html><script>1</script></html>\n"),
            ]
        )
        func notOpened(_ name: String, _ contents: String) async throws {
            try TreeMaker.write(contents, to: "\(source.path)/\(name)")
            let result = try await rtun("view", name)
            #expect((result.stdout + result.stderr).contains("not opened"), "\(result)")
            // A file that is opened after it proves that nothing was still on its way to the opener.
            let marker = Self.picture("after \(name)")
            try TreeMaker.write(marker, to: source.path + "/marker.png")
            #expect(try await rtun("view", "marker.png").status == 0)
            #expect(await opened(marker) != nil)
            #expect(!daemon.desktop.opened().contains { $0.contents == Array(contents.utf8) })
        }

        @Test("A notification shows its words, and says that the plain socket proves no name")
        func notify() async throws {
            let result = try await rtun("notify", "training", "is", "done-17")
            #expect(result.status == 0, "\(result)")
            let call = try #require(await notified("done-17"))
            #expect(call.arguments.contains("training is done-17"), "\(call.arguments)")
            #expect(call.arguments.contains { $0.hasPrefix("[unverified: ") }, "\(call.arguments)")
        }

        @Test("A title is shown as the title")
        func title() async throws {
            let result = try await rtun("notify", "-t", "Run 18", "accuracy-0.93")
            #expect(result.status == 0, "\(result)")
            let call = try #require(await notified("accuracy-0.93"))
            #expect(call.arguments.contains { $0.hasSuffix("] Run 18") }, "\(call.arguments)")
        }

        @Test("A notification can come from standard input")
        func notifyStandardInput() async throws {
            let result = try await rtun("notify", "-", input: .bytes(Array("piped-19 words\n".utf8)))
            #expect(result.status == 0, "\(result)")
            #expect(await notified("piped-19 words") != nil)
        }

        @Test("A notification is text: no option, no command, no terminal control")
        func hostileText() async throws {
            let trap = source.path + "/trap"
            let text = "--help $(touch \(trap)) `touch \(trap)` \"; touch \(trap); \u{1B}[31mred-20"
            let result = try await rtun("notify", "--", text)
            #expect(result.status == 0, "\(result)")
            let call = try #require(await notified("red-20"))
            #expect(!FileManager.default.fileExists(atPath: trap))
            #expect(!call.arguments.contains { $0.contains("\u{1B}") }, "\(call.arguments)")
            let end = try #require(call.arguments.firstIndex(of: "--"))
            let words = try #require(call.arguments.firstIndex { $0.contains("red-20") })
            #expect(end < words, "\(call.arguments)")
        }

        @Test("A command's end is told with its code, its time and its last lines, and its files follow")
        func run() async throws {
            let bytes = Self.picture("made by a command")
            try TreeMaker.write(bytes, to: source.path + "/made.png")
            try TreeMaker.write("1,2\n", to: source.path + "/table-41.csv")
            let result = try await rtun(
                "run",
                "--send",
                "table-41.csv",
                "--view",
                "made.png",
                "--",
                "sh",
                "-c",
                "echo result; echo reason-41 >&2; exit 3"
            )
            #expect(result.status == 3 && result.stdout == "result\n" && result.stderr == "reason-41\n", "\(result)")
            let call = try #require(await notified("reason-41"))
            #expect(call.arguments.contains { $0.contains("] failed: sh -c echo") }, "\(call.arguments)")
            #expect(call.arguments.last?.hasPrefix("exit code 3 after ") == true, "\(call.arguments)")
            #expect(FileManager.default.fileExists(atPath: daemon.inbox + "/table-41.csv"))
            #expect(daemon.desktop.opened().contains { $0.contents == bytes })
        }

        @Test("A file that is missing when the command has ended changes nothing about its code")
        func runMissingFile() async throws {
            let result = try await rtun("run", "--send", "nowhere.csv", "--", "true")
            #expect(result.status == 0, "\(result)")
            #expect(result.stderr.contains("nowhere.csv"), "\(result)")
        }

        @Test("The same file viewed again takes its own place; another of its name does not")
        func place() async throws {
            let (first, second, other) = (Self.picture("first"), Self.picture("second"), Self.picture("other"))
            try TreeMaker.write(first, to: source.path + "/again.png")
            #expect(try await rtun("view", "again.png").status == 0)
            let path = try #require(await opened(first)?.arguments.last)
            try TreeMaker.write(second, to: source.path + "/again.png")
            #expect(try await rtun("view", source.path + "/again.png").status == 0)
            #expect(await opened(second)?.arguments.last == path)
            #expect(FileManager.default.contents(atPath: path) == Data(second))
            try TreeMaker.folder(source.path + "/sub")
            try TreeMaker.write(other, to: source.path + "/sub/again.png")
            #expect(try await rtun("view", "sub/again.png").status == 0)
            let otherPath = try #require(await opened(other)?.arguments.last)
            #expect(otherPath != path)
            // The laptop's user edits it: the edit stays.
            try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
            #expect(try await rtun("view", "again.png").status == 0)
            #expect(FileManager.default.contents(atPath: path) == Data("mine".utf8))
        }

        @Test("A followed file is replaced where it was opened, until Ctrl-C")
        func follow() async throws {
            let bytes = (1...3).map { Self.picture("state \($0) of followed") }
            try TreeMaker.write(bytes[0], to: source.path + "/live.png")
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["view", "--follow", "live.png"],
                environment: daemon.serverEnvironment,
                folder: source.path
            )
            let path = try #require(await opened(bytes[0])?.arguments.last)
            for state in bytes.dropFirst() {
                try TreeMaker.write(state, to: source.path + "/live.png")
                #expect(await Waiting.until { FileManager.default.contents(atPath: path) == Data(state) })
            }
            process.signal(SIGINT)
            #expect(await process.wait(timeout: .seconds(20)).status == 130)
            #expect(daemon.desktop.opened().filter { $0.arguments.last == path }.count == 1)
        }

        @Test("A notification with an id takes the place of the last one, with a title alone as well")
        func notifyAgain() async throws {
            #expect(try await rtun("notify", "--id", "train", "epoch 9-51").status == 0)
            #expect(try await rtun("notify", "--id", "train", "--expire", "30", "-t", "epoch 10-51").status == 0)
            #expect(await notified("epoch 9-51")?.arguments.contains { $0.hasPrefix("--replace-id") } == false)
            let second = try #require(await notified("epoch 10-51"))
            #expect(second.arguments.contains("--replace-id=41") && second.arguments.contains("--expire-time=30000"))
        }

        @Test("The first send of a source is told, with a button for its folder")
        func arrival() async throws {
            let server = ScratchFolder("arrival")
            try TreeMaker.folder(server.path + "/.rtun")
            var environment = DaemonUnderTest.environment(home: server.path)
            environment["RTUN_SOCK"] = daemon.socket
            for name in ["first-61.csv", "second-61.csv"] {
                try TreeMaker.write("1,2\n", to: "\(server.path)/\(name)")
                let result = try await BuiltBinary.run(["send", name], environment: environment, folder: server.path)
                #expect(result.status == 0, "\(result)")
            }
            let call = try #require(await notified("first-61.csv"))
            #expect(call.arguments.contains("--action=pressed=Show folder"), "\(call.arguments)")
            #expect(call.arguments.last?.hasPrefix("first-61.csv, 4 B from ") == true, "\(call.arguments)")
            #expect(!daemon.desktop.notifications().contains { $0.arguments.last?.contains("second-61") == true })
        }

        @Test("Opened files do not pile up, and what else lies in their folder is neither followed nor opened")
        func bounded() async throws {
            let folder = daemon.inbox + "/.rtun-view"
            try TreeMaker.folder(folder)
            for number in 0..<300 { try TreeMaker.write("old", to: "\(folder)/old\(number).txt") }
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/link.png",
                withDestinationPath: source.path + "/outside"
            )
            try TreeMaker.write("mine", to: source.path + "/outside")
            let bytes = Self.picture("after three hundred")
            try TreeMaker.write(bytes, to: source.path + "/latest.png")
            #expect(try await rtun("view", "latest.png").status == 0)
            let path = try #require(await opened(bytes)?.arguments.last)
            #expect(FileManager.default.contents(atPath: path) == Data(bytes))
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(left.filter { $0 != "link.png" }.count == 256)
            #expect(FileManager.default.contents(atPath: source.path + "/outside") == Data("mine".utf8))
        }
    }
}
