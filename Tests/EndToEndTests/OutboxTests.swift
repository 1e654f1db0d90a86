// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Sends that are queued without a laptop and delivered when there is one.
    @Suite("The outbox", .daemon)
    struct OutboxTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("queued")
        /// The home of this test's server: its outbox is its own.
        private let home = ScratchFolder("home")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
            try FileManager.default.createDirectory(
                atPath: home.path + "/.rtun",
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        }

        /// As a batch job runs: nothing leads to a laptop.
        private var alone: [String: String] { DaemonUnderTest.environment(home: home.path) }

        private var connected: [String: String] {
            var environment = alone
            environment["RTUN_SOCK"] = daemon.socket
            return environment
        }

        private func queue(_ arguments: String...) async throws -> String {
            let result = try await BuiltBinary.run(
                ["send", "--queue"] + arguments,
                environment: alone,
                folder: source.path
            )
            #expect(result.status == 0, "\(result)")
            return String(try #require(result.outputLines.first))
        }

        private func flush(_ arguments: String..., environment: [String: String]? = nil) async throws -> RunResult {
            try await BuiltBinary.run(["flush"] + arguments, environment: environment ?? connected, folder: "/")
        }

        /// What `flush --list --json` says, by id.
        private func listed() async throws -> [String: [String: Any]] {
            var items: [String: [String: Any]] = [:]
            for line in try await flush("--list", "--json").outputLines {
                let item = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                items[try #require(item["id"] as? String)] = item
            }
            return items
        }

        private func text(_ name: String) -> String? {
            FileManager.default.contents(atPath: "\(daemon.inbox)/\(name)").map { String(decoding: $0, as: UTF8.self) }
        }

        @Test(
            "What a batch job queued is delivered when any command finds the laptop, as the files are then",
            arguments: ["ping", "status"]
        )
        func batchJob(_ command: String) async throws {
            try TreeMaker.folder(source.path + "/batch")
            try TreeMaker.write("early\n", to: source.path + "/batch/log.txt")
            let id = try await queue("-r", "batch", "-o", "jobs/\(command)/")
            let without = try await flush(environment: alone)
            #expect(without.status == 3, "\(without)")
            #expect(try await listed()[id]?["state"] as? String == "waiting")
            try TreeMaker.write("late\n", to: source.path + "/batch/log.txt")
            #expect(try await BuiltBinary.run([command], environment: connected, folder: "/").status == 0)
            let done = "\(home.path)/.rtun/outbox/done/\(id)"
            #expect(await Waiting.until(within: .seconds(20)) { FileManager.default.fileExists(atPath: done) })
            #expect(text("jobs/\(command)/batch/log.txt") == "late\n")
            let result = try #require(try await listed()[id])
            #expect(result["state"] as? String == "delivered")
            #expect(result["names"] as? [String] == ["jobs/\(command)/batch"])
        }

        @Test("What --to named a laptop for is delivered there alone, also past another one that answers first")
        func boundToLaptop() async throws {
            try TreeMaker.write("for the desk\n", to: source.path + "/bound.txt")
            try TreeMaker.write("for anybody\n", to: source.path + "/free.txt")
            let bound = try await queue("--to", "desk", "bound.txt")
            let free = try await queue("free.txt")
            #expect(try await flush().status == 0)
            #expect(text("bound.txt") == nil)
            #expect(text("free.txt") == "for anybody\n", "it did not wait behind the other one")
            #expect(try await listed()[bound]?["state"] as? String == "waiting")
            #expect(try await listed()[free]?["state"] as? String == "delivered")
            // RTUN_SOCK still leads to the first laptop.
            let desk = try await DaemonUnderTest.start(
                ["-s", home.path + "/.rtun/rtun.sock.desk"],
                configuration: "name = \"desk\"\n[limits]\nfloor = 0\n"
            )
            #expect(try await flush().status == 0)
            #expect(FileManager.default.contents(atPath: desk.inbox + "/bound.txt") == Data("for the desk\n".utf8))
            #expect(text("bound.txt") == nil)
            #expect(try await listed()[bound]?["laptop"] as? String == "desk")
            try await desk.stop()
        }

        @Test("A file that vanished is reported, and the others are delivered")
        func vanished() async throws {
            for name in ["stays.txt", "goes.txt", "lost.txt"] {
                try TreeMaker.write(name, to: "\(source.path)/\(name)")
            }
            let both = try await queue("stays.txt", "goes.txt")
            let lost = try await queue("lost.txt")
            let after = try await queue("stays.txt", "-o", "after/")
            try FileManager.default.removeItem(atPath: source.path + "/goes.txt")
            try FileManager.default.removeItem(atPath: source.path + "/lost.txt")
            let result = try await flush()
            #expect(result.status == 5, "\(result)")
            #expect(text("stays.txt") == "stays.txt")
            #expect(text("after/stays.txt") == "stays.txt")
            let items = try await listed()
            #expect(items[both]?["status"] as? Int == 5)
            #expect((items[both]?["messages"] as? [String])?.first?.contains("goes.txt") == true, "\(items)")
            #expect(items[lost]?["status"] as? Int == 5)
            #expect(items[after]?["status"] as? Int == 0)
        }

        @Test("Two flushes at once deliver each item once, in order")
        func twoFlushes() async throws {
            let names = (10..<22).map { "item\($0).txt" }
            for name in names {
                try TreeMaker.write(name, to: "\(source.path)/\(name)")
                _ = try await queue(name, "-o", "both/")
            }
            async let first = flush("--take-over-after", "20")
            async let second = flush("--take-over-after", "20")
            let results = try await [first, second]
            #expect(results.map(\.status) == [0, 0], "\(results)")
            #expect(results.flatMap(\.outputLines).count == 12, "\(results)")
            let arrived = try FileManager.default.contentsOfDirectory(atPath: daemon.inbox + "/both").sorted()
            #expect(arrived == names)
            for result in results { #expect(result.outputLines == result.outputLines.sorted(), "\(result)") }
        }

        /// Begins to deliver an item of 32 MiB; returns once chunks of it are durable.
        private func beginDelivery() async throws -> TestSupport.ChildProcess {
            let parts = daemon.inbox + "/.rtun-part"
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["flush", "--bwlimit", "16M"],
                environment: connected,
                folder: "/"
            )
            try await process.wait(until: "chunks are durable") {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: parts)) ?? []
                return names.contains { name in
                    let status = try? FileManager.default.attributesOfItem(atPath: "\(parts)/\(name)/journal")
                    return status?[.size] as? Int ?? 0 > 64
                }
            }
            return process
        }

        private func expectDelivered(_ id: String, _ name: String, in folder: String) async throws {
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(daemon.inbox)/\(folder)") == [name])
            #expect(
                FileManager.default.contentsEqual(
                    atPath: "\(source.path)/\(name)",
                    andPath: "\(daemon.inbox)/\(folder)/\(name)"
                )
            )
            #expect(try await listed()[id]?["state"] as? String == "delivered")
        }

        @Test("A flush that was killed is taken over, and its item arrives once")
        func takenOver() async throws {
            try BigFile.write(32, to: source.path + "/heavy.bin")
            let id = try await queue("heavy.bin", "-o", "heavy/")
            let process = try await beginDelivery()
            process.signal(SIGKILL)
            _ = await process.wait()
            #expect(try await listed()[id]?["state"] as? String == "delivering")
            let result = try await flush("--take-over-after", "1")
            #expect(result.status == 0, "\(result)")
            try await expectDelivered(id, "heavy.bin", in: "heavy")
        }

        @Test("A flush that stood still while it was taken over delivers nothing a second time")
        func holderGoesOn() async throws {
            try BigFile.write(32, to: source.path + "/slow.bin")
            let id = try await queue("slow.bin", "-o", "slow/")
            let process = try await beginDelivery()
            process.signal(SIGSTOP)
            let result = try await flush("--take-over-after", "1")
            #expect(result.status == 0, "\(result)")
            process.signal(SIGCONT)
            let woken = await process.wait()
            #expect(woken.status == 0, "\(woken)")
            #expect(woken.output.isEmpty, "it has delivered nothing: \(woken)")
            try await expectDelivered(id, "slow.bin", in: "slow")
        }

        @Test("A send goes its way while the outbox is delivered")
        func besideASend() async throws {
            try BigFile.write(16, to: source.path + "/queued.bin")
            try TreeMaker.write("now\n", to: source.path + "/now.txt")
            let id = try await queue("queued.bin")
            let result = try await BuiltBinary.run(["send", "now.txt"], environment: connected, folder: source.path)
            #expect(result.status == 0, "\(result)")
            #expect(text("now.txt") == "now\n")
            let done = "\(home.path)/.rtun/outbox/done/\(id)"
            #expect(await Waiting.until(within: .seconds(20)) { FileManager.default.fileExists(atPath: done) })
            #expect(
                FileManager.default.contentsEqual(
                    atPath: source.path + "/queued.bin",
                    andPath: daemon.inbox + "/queued.bin"
                )
            )
        }

        @Test("An item that is dropped is not delivered, and flush --wait waits for the tunnel")
        func droppedAndWaited() async throws {
            try TreeMaker.write("dropped", to: source.path + "/dropped.txt")
            try TreeMaker.write("waited", to: source.path + "/waited.txt")
            let dropped = try await queue("dropped.txt")
            _ = try await queue("waited.txt")
            #expect(try await flush("--drop", dropped).status == 0)
            #expect(try await flush("--drop", dropped).status == 1)
            let process = try ChildProcess(BuiltBinary.path(), ["flush", "--wait"], environment: alone, folder: "/")
            try await process.wait(until: "it waits") { process.standardError.contains("waiting for one") }
            try FileManager.default.linkItem(atPath: daemon.socket, toPath: home.path + "/.rtun/rtun.sock.1")
            let result = await process.wait()
            #expect(result.status == 0, "\(result)")
            #expect(text("waited.txt") == "waited")
            #expect(text("dropped.txt") == nil)
        }

        @Test("status tells what is queued, what failed with its reasons, and what was delivered")
        func status() async throws {
            for name in ["stays.txt", "goes.txt"] { try TreeMaker.write(name, to: "\(source.path)/\(name)") }
            let before = try await BuiltBinary.run(["status"], environment: connected, folder: "/")
            #expect(!before.outputLines.contains { $0.hasPrefix("outbox") }, "\(before)")
            let delivered = try await queue("stays.txt", "-o", "told/")
            let failed = try await queue("goes.txt")
            try FileManager.default.removeItem(atPath: source.path + "/goes.txt")
            #expect(try await flush().status == 5)
            let queued = try await queue("stays.txt", "-o", "later/")

            let told = try await BuiltBinary.run(["status"], environment: alone, folder: "/")
            // Nobody answers, and what waits is told all the same.
            #expect(told.status == 3, "\(told)")
            #expect(told.outputLines.contains("outbox: 1 queued, 1 delivered, 1 failed"), "\(told)")
            // Queuing looks for a laptop by itself, so it may be in somebody's hands just now.
            let states = ["  \(queued)  waits", "  \(queued)  being delivered by "]
            #expect(told.outputLines.contains { line in states.contains { line.hasPrefix($0) } }, "\(told)")
            let line = try #require(told.outputLines.firstIndex(of: "  \(failed)  ended with 5"), "\(told)")
            #expect(told.outputLines[line + 1].contains("goes.txt"), "\(told)")
            #expect(!told.outputLines.contains { $0.contains(delivered) }, "\(told)")

            let object = try await BuiltBinary.run(["status", "--json"], environment: alone, folder: "/")
            let report = try #require(
                try JSONSerialization.jsonObject(with: Data(object.output)) as? [String: Any]
            )
            let outbox = try #require(report["outbox"] as? [String: [Any]], "\(object)")
            let items = try #require(outbox["items"] as? [[String: Any]])
            #expect(items.map { $0["id"] as? String } == [queued])
            #expect(["waiting", "delivering"].contains(items.first?["state"] as? String ?? ""))
            let results = try #require(outbox["results"] as? [[String: Any]])
            #expect(results.map { $0["id"] as? String } == [delivered, failed])
            #expect(results.map { $0["status"] as? Int } == [0, 5])
            #expect((report["unfinished"] as? [Any])?.isEmpty == true, "\(object)")
        }

        @Test(
            "What makes no sense to queue is refused",
            arguments: [["-", "--name", "x"], ["gone.txt"], ["--resume"]]
        )
        func refused(_ arguments: [String]) async throws {
            let result = try await BuiltBinary.run(
                ["send", "--queue"] + arguments,
                environment: alone,
                folder: source.path
            )
            #expect(result.status == 64 || result.status == 1, "\(result)")
            #expect(result.output.isEmpty)
        }
    }
}
