// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

private let hasPython = ["/usr/bin/python3", "/usr/local/bin/python3", "/opt/homebrew/bin/python3"]
    .contains { FileManager.default.isExecutableFile(atPath: $0) }

extension EndToEnd {
    /// What our client does where the laptop runs the original's daemon: an imitation that dies where the original does.
    @Suite("Daemons of the original", .enabled(if: hasPython, "no python3"))
    struct OriginalDaemonTests {
        private let scratch = ScratchFolder("original")
        private var home: String { scratch.path + "/home" }
        private var socket: String { home + "/.rtun/rtun.sock.7" }
        private var inbox: String { scratch.path + "/save" }
        private var source: String { scratch.path + "/source" }

        private func start(_ arguments: String...) async throws -> ChildProcess {
            for folder in [home, home + "/.rtun", inbox, source] { try TreeMaker.folder(folder) }
            chmod(home + "/.rtun", 0o700)
            let daemon = try ChildProcess(
                "/usr/bin/env",
                [
                    "python3", FixtureLocation.project + "/Tests/Original/daemon.py", socket, inbox,
                    scratch.path + "/log",
                ]
                    + arguments,
                environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
            )
            try await daemon.wait(until: "the imitation listens") { daemon.standardError.contains("listening") }
            return daemon
        }

        private func rtun(_ arguments: String...) async throws -> RunResult {
            try await BuiltBinary.run(
                arguments,
                environment: DaemonUnderTest.environment(home: home),
                folder: source
            )
        }

        private func said() throws -> [String] {
            try String(contentsOfFile: scratch.path + "/log", encoding: .utf8).split(separator: "\n").map(String.init)
        }

        private func contents(_ path: String) -> String? {
            FileManager.default.contents(atPath: "\(inbox)/\(path)").map { String(decoding: $0, as: UTF8.self) }
        }

        @Test("The imitation answers the handshake as the original does")
        func probe() async throws {
            let daemon = try await start()
            let golden = try GoldenFile("protocol/original-probe.txt")
            let heard = try await RawDialogue.play(try golden["client"], at: socket)
            let expected = try golden["daemon"]
            #expect(String(decoding: heard, as: UTF8.self) == String(decoding: expected, as: UTF8.self))
            daemon.signal(SIGTERM)
        }

        @Test("ping, echo and notify work, found without -s beside a dead socket")
        func small() async throws {
            let daemon = try await start()
            try SilentListener.leaveDeadSocket(at: home + "/.rtun/rtun.sock.8")
            let ping = try await rtun("ping")
            #expect(ping.status == 0 && ping.stdout == "OK PONG\n", "\(ping)")
            #expect(try await rtun("echo", "two", "words").stdout == "two words\n")
            let notified = try await rtun("notify", "-t", "Run 3", "done\nat \\ last")
            #expect(notified.status == 0, "\(notified)")
            let line = try #require(try said().first { $0.hasPrefix("\"NOTIFY ") })
            #expect(line.hasSuffix(" Run 3: done at / last\""), "\(line)")
            daemon.signal(SIGTERM)
        }

        @Test("Files and folders arrive, what cannot be sent is listed, and the user is told what is missing here")
        func tree() async throws {
            let daemon = try await start()
            for number in 0..<300 { try TreeMaker.write("\(number)\n", to: "\(source)/tree/many/\(number)") }
            try TreeMaker.write([UInt8](repeating: 7, count: 3_000_001), to: source + "/tree/big.bin")
            try TreeMaker.write("", to: source + "/tree/none")
            let plain = try await rtun("send", "-r", "tree/", "-o", "to/")
            #expect(plain.status == 0, "\(plain)")
            #expect(plain.stderr.contains("no resume"))
            #expect(plain.stdout.contains("to/tree: 302 files") && !plain.stdout.contains("verified"), "\(plain)")
            let difference = try await ChildProcess.run(
                "/usr/bin/env",
                ["diff", "-r", source + "/tree", inbox + "/to/tree"],
                environment: ["PATH": "/usr/bin:/bin"]
            )
            #expect(difference.status == 0, "\(difference)")
            try FileManager.default.createSymbolicLink(
                atPath: source + "/tree/link",
                withDestinationPath: "none"
            )
            try TreeMaker.folder(source + "/tree/hollow")
            let partial = try await rtun("send", "-r", "tree")
            #expect(partial.status == 5, "\(partial)")
            #expect(partial.stderr.contains("tree/link: ") && partial.stderr.contains("tree/hollow: "), "\(partial)")
            daemon.signal(SIGTERM)
        }

        @Test("Names that crash the original are refused or written so that they do not")
        func names() async throws {
            let daemon = try await start()
            try TreeMaker.write("one", to: source + "/a")
            try TreeMaker.write("two", to: source + "/db")
            let long = String(repeating: "p", count: 250) + ".png"
            try TreeMaker.write("picture", to: "\(source)/\(long)")
            let refused = try await rtun("send", "a")
            #expect(refused.status == 1 && refused.stderr.contains("one-byte name"), "\(refused)")
            #expect(try await rtun("send", "a", "-o", "renamed").status == 0)
            #expect(contents("renamed") == "one")
            #expect(try await rtun("send", "db").status == 0)
            #expect(contents("db") == "two")
            #expect(try await rtun("view", long).status == 0)
            let viewed = try #require(try said().last { $0.hasPrefix("\"VIEW 7 p") })
            #expect(viewed.hasSuffix("p.png\"") && viewed.utf8.count <= 240 + 9)
            let mixed = try await rtun("send", "a", "db", long)
            #expect(mixed.status == 5, "\(mixed)")
            #expect(try await rtun("ping").status == 0, "the daemon lives")
            daemon.signal(SIGTERM)
        }

        @Test("One file that is refused costs the others nothing, and the exit code tells")
        func oneRefused() async throws {
            let daemon = try await start()
            try TreeMaker.folder(inbox + "/tree/050")
            for number in 0..<100 {
                let name = String(repeating: "0", count: 3 - "\(number)".count) + "\(number)"
                try TreeMaker.write("\(number)\n", to: "\(source)/tree/\(name)")
            }
            let result = try await rtun("send", "-r", "tree")
            #expect(result.status == 5, "\(result)")
            #expect(result.stderr.contains("tree/050: refused by the original daemon: ERROR 103"), "\(result)")
            #expect(result.stdout.contains("99 files"), "\(result)")
            #expect(contents("tree/049") == "49\n" && contents("tree/051") == "51\n" && contents("tree/099") == "99\n")
            daemon.signal(SIGTERM)
        }

        @Test("An error behind the bytes is no success")
        func full() async throws {
            let daemon = try await start("--full")
            try TreeMaker.write("text", to: source + "/some.txt")
            let result = try await rtun("send", "some.txt")
            #expect(result.status == 1, "\(result)")
            #expect(result.stderr.contains("no space left on device"), "\(result)")
            #expect(try await rtun("view", "some.txt").status == 1)
            daemon.signal(SIGTERM)
        }

        @Test("A daemon that ends in the middle is no success, and nobody waits for it")
        func gone() async throws {
            let daemon = try await start()
            try TreeMaker.folder(inbox + "/file")
            try TreeMaker.write("text", to: source + "/some.txt")
            daemon.signal(SIGKILL)
            _ = await daemon.wait()
            let result = try await rtun("send", "some.txt")
            #expect(result.status == 3, "\(result)")
        }
    }
}
