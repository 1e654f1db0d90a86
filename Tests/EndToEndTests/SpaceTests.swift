// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// How much of the laptop's disk a server may use.
    @Suite("Space on the laptop")
    struct SpaceTests {
        private static let mebibyte = 1 << 20

        private func file(_ daemon: DaemonUnderTest, _ name: String, mebibytes: Int) throws {
            var generator = SystemRandomNumberGenerator()
            let words = (0..<mebibytes * Self.mebibyte / 8).map { _ in generator.next() as UInt64 }
            try words.withUnsafeBytes { try TreeMaker.write($0, to: daemon.server + "/" + name) }
        }

        @Test("A transfer over its limit ends with 6 and the setting, leaves nothing, and others pass")
        func perTransfer() async throws {
            let daemon = try await DaemonUnderTest.start(configuration: "[limits]\nfloor = 0\ntransfer = \"3 MiB\"\n")
            try file(daemon, "large.bin", mebibytes: 9)
            try file(daemon, "small.bin", mebibytes: 2)
            let start = ContinuousClock.now
            let refused = try await daemon.rtun("send", "large.bin")
            #expect(refused.status == 6, "\(refused)")
            #expect(refused.stderr.contains("limits.transfer"), "\(refused)")
            #expect(ContinuousClock.now - start < .seconds(5))
            let inbox = daemon.inbox
            #expect(await Waiting.until { !FileManager.default.fileExists(atPath: inbox + "/.rtun-part") })
            #expect(TreeComparison.listing(inbox).isEmpty)
            #expect(try await daemon.rtun("send", "small.bin").status == 0)
            // Holes are no data, and what is there already is not written again.
            try TreeMaker.writeSparse(to: daemon.server + "/sparse.bin", size: 1 << 36, dataAt: [1 << 30])
            #expect(try await daemon.rtun("send", "sparse.bin").status == 0)
            #expect(try await daemon.rtun("send", "small.bin", "sparse.bin").status == 0)
            try await daemon.stop()
        }

        @Test("Four sends side by side never hold more than their host may, and what is removed is free again")
        func quota() async throws {
            let daemon = try await DaemonUnderTest.start(
                configuration: "[limits]\nfloor = 0\n[host.gpu01]\nquota = \"10 MiB\"\n"
            )
            let socket = daemon.laptop + "/.rtun/s/gpu01.sock"
            @Sendable func send(_ name: String) async throws -> RunResult {
                try await BuiltBinary.run(
                    ["send", name, "-s", socket],
                    environment: DaemonUnderTest.environment(home: daemon.server),
                    folder: daemon.server
                )
            }
            for number in 1...4 { try file(daemon, "\(number).bin", mebibytes: 4) }
            let results = try await withThrowingTaskGroup(of: RunResult.self) { group in
                for number in 1...4 { group.addTask { try await send("\(number).bin") } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for result in results where result.status != 0 {
                #expect(result.status == 6, "\(result)")
                #expect(result.stderr.contains("host.gpu01.quota"), "\(result)")
            }
            let folder = daemon.inbox + "/gpu01"
            let arrived = TreeComparison.listing(folder)
            #expect((1...2).contains(arrived.count), "\(arrived)")
            #expect(arrived.count == results.filter { $0.status == 0 }.count)
            // An aborted send has given its share back: the rest fits, no more.
            for number in 1...4 { _ = try await send("\(number).bin") }
            #expect(TreeComparison.listing(folder).count == 2)
            for name in TreeComparison.listing(folder) {
                try FileManager.default.removeItem(atPath: folder + "/" + name)
            }
            #expect(try await send("4.bin").status == 0)
            // Another host has a quota of its own, or none.
            #expect(try await daemon.rtun("send", "1.bin", "2.bin", "3.bin").status == 0)
            try await daemon.stop()
        }

        @Test("A client of the original is refused before READY what is over a limit, and what fits arrives")
        func original() async throws {
            let daemon = try await DaemonUnderTest.start(
                configuration: "[limits]\nfloor = 0\ntransfer = \"3 MiB\"\n[host.gpu01]\nquota = \"1 KiB\"\n"
            )
            func ask(_ line: String, _ socket: String) async throws -> String {
                String(decoding: try await RawDialogue.play(Array(line.utf8), at: socket), as: UTF8.self)
            }
            let gpu = daemon.laptop + "/.rtun/s/gpu01.sock"
            for verb in ["SEND", "VIEW"] {
                #expect(
                    try await ask("\(verb) 4194304 large.txt\r\n", daemon.socket)
                        == "ERROR 104 the transfer is larger than the laptop allows (setting on the laptop: limits.transfer)\r\n"
                )
                #expect(
                    try await ask("\(verb) 2000 large.txt\r\n", gpu)
                        == "ERROR 104 the laptop has no more space for this host (setting on the laptop: host.gpu01.quota)\r\n"
                )
            }
            #expect(try await ask("SEND 9223372036854775807 x\r\n", daemon.socket).hasPrefix("ERROR 104 the transfer"))
            // What was refused, broken off or wrong gives its share back; what has arrived keeps it.
            #expect(try await ask("SEND 1000 cut\r\nabc", gpu).hasPrefix("READY\r\nERROR 106"))
            #expect(try await ask("SEND 5 wrong\r\nhelloabc\r\n", gpu).hasPrefix("READY\r\nERROR 107"))
            for name in ["a", "b"] {
                let block = String(repeating: "x", count: 500)
                let sum = try await ChildProcess.run(
                    "/usr/bin/env",
                    ["sha256sum"],
                    environment: ["PATH": "/usr/bin:/bin"],
                    input: .bytes(Array(block.utf8))
                ).stdout.prefix(64)
                #expect(try await ask("SEND 500 \(name)\r\n\(block)\(sum)\r\n", gpu) == "READY\r\nOK\r\n")
            }
            #expect(try await ask("SEND 500 c\r\n", gpu).hasPrefix("ERROR 104"))
            #expect(TreeComparison.listing(daemon.inbox + "/gpu01").sorted() == ["a", "b"])
            try daemon.configure("[limits]\nfloor = \"4000000 TiB\"\n")
            daemon.reload()
            #expect(await Waiting.until { daemon.log.contains("the configuration was read again") })
            #expect(try await ask("SEND 1 x\r\n", daemon.socket) == "ERROR 104 the laptop's disk is full\r\n")
            #expect(try await daemon.rtun("ping").status == 0)
            try await daemon.stop()
        }

        @Test("At the floor of free space a send ends with 7, and is told no figure")
        func floor() async throws {
            let daemon = try await DaemonUnderTest.start(configuration: "[limits]\nfloor = \"4000000 TiB\"\n")
            try file(daemon, "a.bin", mebibytes: 1)
            let result = try await daemon.rtun("send", "a.bin")
            #expect(result.status == 7, "\(result)")
            #expect(result.stderr.contains("the laptop's disk is full"), "\(result)")
            #expect(TreeComparison.listing(daemon.inbox).isEmpty)
            try daemon.configure("[limits]\nfloor = 0\n")
            daemon.reload()
            #expect(await Waiting.until { daemon.log.contains("the configuration was read again") })
            #expect(try await daemon.rtun("send", "a.bin").status == 0)
            try await daemon.stop()
        }
    }
}
