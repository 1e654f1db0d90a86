// SPDX-License-Identifier: MIT

import Foundation
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Sends that are cut short, and what the next attempt, or the same one, makes of it.
    @Suite("A broken send", .daemon)
    struct ResumeTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("resume")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func start(_ arguments: String...) throws -> TestSupport.ChildProcess {
            try ChildProcess(
                BuiltBinary.path(),
                ["send"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
        }

        private func send(_ arguments: String...) async throws -> RunResult {
            try await BuiltBinary.run(
                ["send"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
        }

        /// Bytes that no codec makes smaller.
        private func writeRandom(_ megabytes: Int, to name: String) throws {
            let input = try #require(FileHandle(forReadingAtPath: "/dev/urandom"))
            let path = "\(source.path)/\(name)"
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
            let output = try #require(FileHandle(forWritingAtPath: path))
            for _ in 0..<megabytes { try output.write(contentsOf: #require(try input.read(upToCount: 1 << 20))) }
            try output.close()
        }

        private func summary(_ result: RunResult) throws -> [String: Any] {
            let line = try #require(result.outputLines.last)
            return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }

        @Test("A send whose sender was killed goes on with the same command, without what was durable")
        func killedSender() async throws {
            try writeRandom(160, to: "killed.bin")
            let process = try start("killed.bin")
            try await daemon.waitForJournal(process)
            process.signal(SIGKILL)
            #expect(await process.wait().status != 0)
            #expect(!FileManager.default.fileExists(atPath: daemon.inbox + "/killed.bin"))
            let result = try await send("--json", "killed.bin")
            #expect(result.status == 0, "\(result)")
            let had = try #require(try summary(result)["had_bytes"] as? Int)
            #expect(had >= 1 << 20, "\(result)")
            #expect(try #require(try summary(result)["wire_bytes"] as? Int) <= (161 << 20) - had)
            #expect(
                FileManager.default.contentsEqual(
                    atPath: source.path + "/killed.bin",
                    andPath: daemon.inbox + "/killed.bin"
                )
            )
            #expect(daemon.journals.isEmpty, "staging was left behind")
        }

        @Test("A tree that changes between two attempts arrives as it is at the end")
        func changedMeanwhile() async throws {
            try writeRandom(120, to: "a big one.bin")
            try FileManager.default.createDirectory(
                atPath: source.path + "/tree/sub",
                withIntermediateDirectories: true
            )
            try FileManager.default.moveItem(
                atPath: source.path + "/a big one.bin",
                toPath: source.path + "/tree/a big one.bin"
            )
            for number in 0..<50 { try TreeMaker.write("\(number)\n", to: "\(source.path)/tree/sub/\(number).txt") }
            let process = try start("-r", "tree")
            try await daemon.waitForJournal(process)
            process.signal(SIGKILL)
            _ = await process.wait()
            let handle = try #require(FileHandle(forUpdatingAtPath: source.path + "/tree/a big one.bin"))
            try handle.seek(toOffset: 1_000_000)
            try handle.write(contentsOf: Data("changed".utf8))
            try handle.close()
            try FileManager.default.moveItem(
                atPath: source.path + "/tree/sub/1.txt",
                toPath: source.path + "/tree/sub/moved.txt"
            )
            try FileManager.default.removeItem(atPath: source.path + "/tree/sub/2.txt")
            let result = try await send("-r", "tree")
            #expect(result.status == 0, "\(result)")
            #expect(try await TreeComparison.differences(source.path + "/tree", daemon.inbox + "/tree") == [])
        }

        @Test("Where the source has a hole now, nothing is left of what was staged there")
        func holeMeanwhile() async throws {
            try writeRandom(160, to: "holed.bin")
            let process = try start("holed.bin")
            try await daemon.waitForJournal(process)
            process.signal(SIGKILL)
            _ = await process.wait()
            let path = source.path + "/holed.bin"
            // The first chunks stay as they are, so that what was staged of the file is taken over.
            #expect(truncate(path, 13 << 20) == 0)
            #expect(truncate(path, 160 << 20) == 0)
            let result = try await send("holed.bin")
            #expect(result.status == 0, "\(result)")
            #expect(FileManager.default.contentsEqual(atPath: path, andPath: daemon.inbox + "/holed.bin"))
        }

        @Test("A file that the user edits while it is sent again stays, and the send begins anew by itself")
        func racingEdit() async throws {
            try TreeMaker.write("first\n", to: source.path + "/race/a.txt")
            #expect(try await send("-r", "race").status == 0)
            var generator = SeededGenerator(seed: 43)
            let bytes = generator.bytes(9 << 20)
            // The folder is announced, and known to be there, long before standard input ends.
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "-r", "race", "-", "--name", "race.bin"],
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytesWithoutEnd(bytes)
            )
            try await daemon.waitForJournal(process)
            try TreeMaker.write("the user's\n", to: daemon.inbox + "/race/a.txt")
            process.endInput()
            let result = await process.wait()
            #expect(result.status == 0, "\(result)")
            #expect(result.stderr.contains("changed on the laptop") || result.stderr.contains("on the laptop changed"))
            let contents = { (name: String) in FileManager.default.contents(atPath: daemon.inbox + "/" + name) }
            #expect(contents("race/a.txt") == Data("the user's\n".utf8))
            #expect(contents("race/a (2).txt") == Data("first\n".utf8))
            #expect(contents("race.bin") == Data(bytes))
        }

        @Test("A daemon that dies is replaced at once, and the send goes on by itself")
        func killedDaemon() async throws {
            try writeRandom(160, to: "healed.bin")
            let process = try start("--json", "healed.bin")
            try await daemon.waitForJournal(process)
            #expect(kill(try daemon.worker(), SIGKILL) == 0)
            let result = await process.wait()
            #expect(result.status == 0, "\(result)")
            #expect(result.stderr.contains("the tunnel is back"), "\(result)")
            #expect(
                FileManager.default.contentsEqual(
                    atPath: source.path + "/healed.bin",
                    andPath: daemon.inbox + "/healed.bin"
                )
            )
        }

        @Test("Without patience a broken send ends with 4 and says how to go on")
        func impatient() async throws {
            try writeRandom(160, to: "broken off.bin")
            let process = try start("--wait", "0", "broken off.bin")
            try await daemon.waitForJournal(process)
            #expect(kill(try daemon.worker(), SIGKILL) == 0)
            let result = await process.wait()
            #expect(result.status == 4, "\(result)")
            #expect(result.stderr.contains("to go on: rtun send --resume "), "\(result)")
            // The next test finds a daemon again: the supervisor has started one.
            #expect(try await daemon.rtun("ping").status == 0)
        }
    }
}
