// SPDX-License-Identifier: MIT

import Descriptors
import RTunDaemon
import TestSupport
import Testing
import Transfer

@Suite("Space")
struct SpaceLedgerTests {
    private let scratch = ScratchFolder("space")
    private let folder: Directory
    private let ledger = SpaceLedger()

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    private func open(
        _ name: String,
        source: String? = nil,
        transfer: UInt64? = nil,
        quota: UInt64? = nil,
        floor: UInt64 = 0
    ) throws -> SpaceLedger.Reservation {
        var limits = Settings.Limits()
        limits.transfer = transfer
        limits.floor = floor
        let quotas = quota.map { [SpaceLedger.Quota(setting: "host.a.quota", folder: folder, limit: $0)] } ?? []
        return try ledger.open(in: folder, stagingName: name, source: source, limits: limits, quotas: quotas)
    }

    @Test("A transfer gets what its limit says, whatever it asks for, and the refusal names the setting")
    func perTransfer() throws {
        let space = try open("a", transfer: 1000)
        try space.reserve(999)
        try space.reserve(1)
        for bytes in [1, UInt64(Int64.max), .max] {
            let refusal = #expect(throws: Abort.self) { try space.reserve(bytes) }
            #expect(refusal?.code == .quota)
            #expect(refusal?.setting == "limits.transfer")
        }
        try space.reserve(0)
    }

    @Test("Transfers side by side never get more than their folder may hold, and give back what they leave unused")
    func sharedQuota() throws {
        let spaces = try (0..<4).map { try open("s\($0)", quota: 100) }
        for space in spaces.prefix(3) { try space.reserve(30) }
        let refusal = #expect(throws: Abort.self) { try spaces[3].reserve(11) }
        #expect(refusal?.setting == "host.a.quota")
        try spaces[3].reserve(10)
        // One ends without leaving anything, one leaves what it wrote.
        spaces[0].close(staysOnDisk: false)
        spaces[1].noteWritten(20)
        spaces[1].close(staysOnDisk: true)
        try spaces[2].reserve(40)
        #expect(throws: Abort.self) { try spaces[2].reserve(1) }
    }

    @Test("What the folder holds counts, holes and what the same source left unfinished do not")
    func usage() throws {
        try TreeMaker.write([UInt8](repeating: 1, count: 50_000), to: scratch.path + "/sub/a")
        try TreeMaker.writeSparse(to: scratch.path + "/sparse", size: 1 << 40, dataAt: [])
        try TreeMaker.write([UInt8](repeating: 1, count: 30_000), to: scratch.path + "/.rtun-part/key-1/tree/x")
        let stranger = try open("other-1", source: "other", quota: 100_000)
        #expect(throws: Abort.self) { try stranger.reserve(20_001) }
        try stranger.reserve(20_000)
        stranger.close(staysOnDisk: false)
        let same = try open("key-2", source: "key", quota: 100_000)
        #expect(throws: Abort.self) { try same.reserve(50_001) }
        try same.reserve(50_000)
    }

    @Test("At the floor the disk counts as full, and no figure is told")
    func floor() throws {
        let available = try folder.space().available
        let space = try open("a", transfer: .max, floor: available - min(available, 1 << 30))
        let refusal = #expect(throws: Abort.self) { try space.reserve(1 << 40) }
        #expect(refusal == Abort(.diskFull, "the laptop's disk is full"))
        try space.reserve(1)
        let other = try open("b", transfer: .max, floor: available)
        #expect(throws: Abort.self) { try other.reserve(1 << 30) }
    }
}
