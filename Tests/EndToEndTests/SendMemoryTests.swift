// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Sends that a home remembers: gone on with by another process, listed, forgotten.
    @Suite("A remembered send", .daemon)
    struct SendMemoryTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("memory")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func send(_ arguments: String..., folder: String? = nil) async throws -> RunResult {
            try await BuiltBinary.run(
                ["send"] + arguments,
                environment: daemon.serverEnvironment,
                folder: folder ?? source.path
            )
        }

        private func start(_ arguments: String...) throws -> TestSupport.ChildProcess {
            try ChildProcess(
                BuiltBinary.path(),
                ["send"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
        }

        private func objects(_ result: RunResult) throws -> [[String: Any]] {
            try result.outputLines.map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
        }

        /// Names of the staging folders of unfinished sends.
        private var staged: [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: daemon.inbox + "/.rtun-part")) ?? []
        }

        /// Sends until chunks are durable, and kills the sender.
        private func breakOff(_ arguments: String...) async throws {
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "--bwlimit", "16M"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
            let parts = daemon.inbox + "/.rtun-part"
            let before = Set(staged)
            try await process.wait(until: "chunks are durable") {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: parts)) ?? []
                return names.contains { name in
                    guard !before.contains(name) else { return false }
                    let status = try? FileManager.default.attributesOfItem(atPath: "\(parts)/\(name)/journal")
                    return status?[.size] as? Int ?? 0 > 64
                }
            }
            process.signal(SIGKILL)
            _ = await process.wait()
        }

        private func expectEqual(_ name: String, _ arrived: String) {
            #expect(
                FileManager.default.contentsEqual(
                    atPath: "\(source.path)/\(name)",
                    andPath: "\(daemon.inbox)/\(arrived)"
                ),
                "\(arrived) is not \(name)"
            )
        }

        private func forgetAll() async throws {
            for line in try objects(await send("--list", "--json")) {
                let id = try #require(line["id"] as? String)
                #expect(try await send("--forget", id).status == 0)
            }
        }

        @Test("A killed send goes on from another folder, with nothing but --resume")
        func resumed() async throws {
            try BigFile.write(32, to: source.path + "/big.bin")
            try await breakOff("big.bin", "-o", "resumed/")
            let listed = try objects(await send("--list", "--json"))
            #expect(listed.count == 1)
            #expect(listed.first?["sources"] as? [String] == [source.path + "/big.bin"])
            #expect(listed.first?["laptop"] as? String == "laptop")
            let id = try #require(listed.first?["id"] as? String)
            let told = try await daemon.rtun("status")
            #expect(told.outputLines.contains { $0.hasPrefix("  \(id)  ") && $0.hasSuffix("/big.bin") }, "\(told)")
            let report = try objects(try await daemon.rtun("status", "--json")).first
            #expect((report?["unfinished"] as? [[String: Any]])?.map { $0["id"] as? String } == [id])
            let result = try await send("--resume", "--json", folder: "/")
            #expect(result.status == 0, "\(result)")
            let had = try #require(try objects(result).last?["had_bytes"] as? Int)
            #expect(had >= 1 << 20, "\(result)")
            expectEqual("big.bin", "resumed/big.bin")
            #expect(try await send("--list").output.isEmpty)
            #expect(staged.isEmpty)
            let again = try await send("--resume")
            #expect(again.status == 1, "\(again)")
            #expect(again.stderr.contains("no unfinished send"), "\(again)")
        }

        @Test("Another send that ends does not take what an unfinished one has staged")
        func othersKeepTheirs() async throws {
            try BigFile.write(32, to: source.path + "/waits.bin")
            try await breakOff("waits.bin")
            try TreeMaker.write("small\n", to: source.path + "/small.txt")
            #expect(try await send("small.txt").status == 0)
            let id = try #require(try objects(await send("--list", "--json")).first?["id"] as? String)
            let result = try await send("--json", "--resume", String(id.prefix(8)))
            #expect(result.status == 0, "\(result)")
            #expect(try #require(try objects(result).last?["had_bytes"] as? Int) >= 1 << 20, "\(result)")
            expectEqual("waits.bin", "waits.bin")
        }

        @Test("What is forgotten is gone on both sides, and nothing else")
        func forgotten() async throws {
            try BigFile.write(32, to: source.path + "/one.bin")
            try BigFile.write(32, to: source.path + "/two.bin")
            try await breakOff("one.bin")
            try await breakOff("two.bin")
            let listed = try objects(await send("--list", "--json"))
            #expect(listed.count == 2)
            let two = try #require(listed.first { ($0["sources"] as? [String])?.first?.hasSuffix("two.bin") == true })
            #expect(staged.count == 2)
            let id = try #require(two["id"] as? String)
            let result = try await send("--forget", id)
            #expect(result.status == 0, "\(result)")
            #expect(staged.count == 1)
            #expect(try objects(await send("--list", "--json")).count == 1)
            #expect(try await send("--forget", id).status == 1)
            try await forgetAll()
            #expect(staged.isEmpty)
        }

        @Test("A send goes on at the laptop where it began, and says whose it is")
        func boundToItsLaptop() async throws {
            try BigFile.write(32, to: source.path + "/bound.bin")
            try await breakOff("bound.bin")
            let other = try await DaemonUnderTest.start()
            var environment = daemon.serverEnvironment
            environment["RTUN_SOCK"] = other.socket
            let result = try await BuiltBinary.run(["send", "--resume"], environment: environment, folder: "/")
            #expect(result.status == 3, "\(result)")
            #expect(result.stderr.contains("belongs to the laptop laptop"), "\(result)")
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: other.inbox).filter { !$0.hasPrefix(".") } == []
            )
            try await other.stop()
            try await forgetAll()
        }

        @Test("The same send twice at once: one goes on, the other one says that it is running")
        func runningAlready() async throws {
            try BigFile.write(64, to: source.path + "/twice.bin")
            let first = try start("--bwlimit", "4M", "twice.bin")
            try await first.wait(until: "it has begun") { !staged.isEmpty }
            let second = try await send("twice.bin")
            #expect(second.status == 4, "\(second)")
            #expect(second.stderr.contains("running already"), "\(second)")
            first.signal(SIGINT)
            let ended = await first.wait()
            #expect(ended.status == 130, "\(ended)")
            #expect(ended.stderr.contains("to go on: rtun send --resume "), "\(ended)")
            #expect(try await send("--resume").status == 0)
            expectEqual("twice.bin", "twice.bin")
        }

        @Test("Two sends to one name at once end under two names, both whole")
        func oneName() async throws {
            for folder in ["a", "b"] {
                try TreeMaker.folder("\(source.path)/\(folder)")
                try BigFile.write(24, to: "\(source.path)/\(folder)/same.bin")
            }
            let first = try start("--bwlimit", "12M", "a/same.bin")
            try await first.wait(until: "the first has begun") { staged.count == 1 }
            let second = try start("--bwlimit", "12M", "b/same.bin")
            try await second.wait(until: "both are under way") { staged.count == 2 }
            let results = [await first.wait(), await second.wait()]
            #expect(results.map(\.status) == [0, 0], "\(results)")
            let names = ["same.bin", "same (2).bin"].map { "\(daemon.inbox)/\($0)" }
            for folder in ["a", "b"] {
                let path = "\(source.path)/\(folder)/same.bin"
                #expect(names.filter { FileManager.default.contentsEqual(atPath: path, andPath: $0) }.count == 1)
            }
        }

        @Test("A home that cannot keep anything costs a warning and not the send")
        func fullHome() async throws {
            let home = ScratchFolder("full")
            try TreeMaker.write("in the way", to: home.path + "/sends")
            try TreeMaker.write("text\n", to: source.path + "/kept.txt")
            var environment = daemon.serverEnvironment
            environment["RTUN_DIR"] = home.path
            let result = try await BuiltBinary.run(["send", "kept.txt"], environment: environment, folder: source.path)
            #expect(result.status == 0, "\(result)")
            #expect(result.stderr.split(separator: "\n").count == 1, "\(result)")
            #expect(result.stderr.contains("only this process can go on"), "\(result)")
            expectEqual("kept.txt", "kept.txt")
        }

        @Test("With --wait a send waits for the first tunnel; without it ends at once")
        func firstContact() async throws {
            let home = ScratchFolder("wait")
            try TreeMaker.write("patient\n", to: source.path + "/patient.txt")
            let environment = DaemonUnderTest.environment(home: home.path)
            try FileManager.default.createDirectory(
                atPath: home.path + "/.rtun",
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            #expect(
                try await BuiltBinary.run(["send", "patient.txt"], environment: environment, folder: source.path).status
                    == 3
            )
            let over = try await BuiltBinary.run(
                ["send", "--wait=1s", "patient.txt"],
                environment: environment,
                folder: source.path
            )
            #expect(over.status == 3, "\(over)")
            #expect(over.duration > .milliseconds(800))
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "--wait", "patient.txt"],
                environment: environment,
                folder: source.path
            )
            try await process.wait(until: "it waits") {
                process.standardError.contains("no tunnel to your computer yet")
            }
            // A name of the daemon's socket, as sshd would make one here.
            try FileManager.default.linkItem(atPath: daemon.socket, toPath: home.path + "/.rtun/rtun.sock.1")
            let result = await process.wait()
            #expect(result.status == 0, "\(result)")
            expectEqual("patient.txt", "patient.txt")
        }

        @Test("Names from a list are sources, and NUL may end them", arguments: [false, true])
        func filesFrom(_ nulSeparated: Bool) async throws {
            let folder = nulSeparated ? "nul" : "lines"
            let end = nulSeparated ? "\0" : "\n"
            let names = ["a b.txt", "c.txt"]
            try TreeMaker.folder("\(source.path)/\(folder)")
            for name in names { try TreeMaker.write(name, to: "\(source.path)/\(folder)/\(name)") }
            let list = names.map { "\(folder)/\($0)\(end)" }.joined()
            let result = try await BuiltBinary.run(
                ["send", "--files-from", "-", "-o", "from-\(folder)/"] + (nulSeparated ? ["-0"] : []),
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytes(Array(list.utf8))
            )
            #expect(result.status == 0, "\(result)")
            let arrived = try FileManager.default.contentsOfDirectory(atPath: "\(daemon.inbox)/from-\(folder)").sorted()
            #expect(arrived == names)
        }

        @Test("A limited send takes as long as its rate says")
        func limited() async throws {
            try BigFile.write(3, to: source.path + "/slow.bin")
            let result = try await send("--bwlimit", "1.5M", "slow.bin")
            #expect(result.status == 0, "\(result)")
            #expect(result.duration > .milliseconds(1_700), "\(result)")
            expectEqual("slow.bin", "slow.bin")
        }
    }
}

/// Bytes that no codec makes smaller.
enum BigFile {
    static func write(_ megabytes: Int, to path: String) throws {
        let input = try #require(FileHandle(forReadingAtPath: "/dev/urandom"))
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let output = try #require(FileHandle(forWritingAtPath: path))
        for _ in 0..<megabytes { try output.write(contentsOf: #require(try input.read(upToCount: 1 << 20))) }
        try output.close()
    }
}
