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
