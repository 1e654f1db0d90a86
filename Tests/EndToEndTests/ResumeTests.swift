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

        /// Sizes of the journals of unfinished sends: more than a header means that chunks are durable.
        private var journals: [Int] {
            let parts = daemon.inbox + "/.rtun-part"
            let names = (try? FileManager.default.contentsOfDirectory(atPath: parts)) ?? []
            return names.compactMap {
                (try? FileManager.default.attributesOfItem(atPath: "\(parts)/\($0)/journal"))?[.size] as? Int
            }
        }

        private func waitForJournal(_ process: TestSupport.ChildProcess) async throws {
            try await process.wait(until: "chunks are durable") { journals.contains { $0 > 64 } }
        }

        private func summary(_ result: RunResult) throws -> [String: Any] {
            let line = try #require(result.outputLines.last)
            return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }

        @Test("A send whose sender was killed goes on with the same command, without what was durable")
        func killedSender() async throws {
            try writeRandom(160, to: "killed.bin")
            let process = try start("killed.bin")
            try await waitForJournal(process)
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
            #expect(journals.isEmpty, "staging was left behind")
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
            try await waitForJournal(process)
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
            try await waitForJournal(process)
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
            try await waitForJournal(process)
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
            try await waitForJournal(process)
            #expect(kill(try worker(), SIGKILL) == 0)
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
            try await waitForJournal(process)
            #expect(kill(try worker(), SIGKILL) == 0)
            let result = await process.wait()
            #expect(result.status == 4, "\(result)")
            #expect(result.stderr.contains("to go on: rtun send --resume "), "\(result)")
            // The next test finds a daemon again: the supervisor has started one.
            #expect(try await daemon.rtun("ping").status == 0)
        }

        /// Sends bytes through a pipe, and ends the daemon three times meanwhile.
        private func sendThroughDeaths(_ bytes: [UInt8], as name: String, deaths: Int = 3) async throws -> RunResult {
            // Earlier tests leave staging of sends that broke off.
            let left = journals.count { $0 > 64 }
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "--json", "--bwlimit", "24M", "-", "--name", name],
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytes(bytes)
            )
            for death in 1...deaths {
                try await process.wait(until: "chunks are durable") { journals.count { $0 > 64 } > left }
                #expect(kill(try worker(), SIGKILL) == 0)
                try await process.wait(until: "it goes on") {
                    process.standardError.components(separatedBy: "the tunnel is back").count == death + 1
                }
            }
            return await process.wait()
        }

        @Test("Standard input goes on by itself when the daemon dies, again and again, and little travels twice")
        func streamSurvivesDeaths() async throws {
            var generator = SeededGenerator(seed: 41)
            let bytes = generator.bytes(96 << 20)
            let result = try await sendThroughDeaths(bytes, as: "piped.bin")
            #expect(result.status == 0, "\(result)")
            #expect(!result.stderr.contains("cannot be sent again"), "\(result)")
            let arrived = FileManager.default.contents(atPath: daemon.inbox + "/piped.bin")
            #expect(arrived.map { [UInt8]($0) } == bytes)
            #expect(journals.isEmpty, "staging was left behind")
            // The spool had its name for a moment only.
            let kept = try FileManager.default.contentsOfDirectory(atPath: daemon.server + "/.rtun/sends")
            #expect(!kept.contains { $0.contains("spool") })
        }

        #if os(Linux)
        @Test("What is kept of standard input stays below 64 MiB, and nobody else may read it")
        func boundedSpool() async throws {
            var generator = SeededGenerator(seed: 42)
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "-", "--name", "bounded.bin"],
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytes(generator.bytes(160 << 20))
            )
            let descriptors = "/proc/\(process.identifier)/fd"
            let most = Mutex((size: 0, mode: UInt32(0)))
            try await process.wait(until: "it ends", timeout: .seconds(60)) {
                for number in (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? [] {
                    let path = descriptors + "/" + number
                    guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
                        target.contains("-spool-")
                    else { continue }
                    var status = stat()
                    guard stat(path, &status) == 0 else { continue }
                    most.withLock { $0 = (max($0.size, Int(status.st_size)), status.st_mode & 0o777) }
                }
                return FileManager.default.fileExists(atPath: daemon.inbox + "/bounded.bin")
            }
            #expect(await process.wait().status == 0)
            let seen = most.withLock { $0 }
            #expect(seen.size > 1 << 20, "the spool was not seen")
            #expect(seen.size <= 64 << 20)
            #expect(seen.mode == 0o600)
        }
        #endif

        @Test("Where nothing can be kept, standard input is sent with one warning")
        func streamWithoutSpool() async throws {
            let home = ScratchFolder("unkept")
            try TreeMaker.write("in the way", to: home.path + "/sends")
            var environment = daemon.serverEnvironment
            environment["RTUN_DIR"] = home.path
            let result = try await BuiltBinary.run(
                ["send", "-s", daemon.socket, "-", "--name", "unkept.bin"],
                environment: environment,
                folder: source.path,
                input: .bytes([UInt8](repeating: 5, count: 9 << 20))
            )
            #expect(result.status == 0, "\(result)")
            #expect(result.stderr.components(separatedBy: "cannot be sent again").count == 2, "\(result)")
            #expect(FileManager.default.contents(atPath: daemon.inbox + "/unkept.bin")?.count == 9 << 20)
        }

        /// The daemon process behind the supervisor.
        private func worker() throws -> Int32 {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["pgrep", "-P", "\(daemon.identifier)"]
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return try #require(Int32(text.split(separator: "\n").first ?? ""))
        }
    }
}
