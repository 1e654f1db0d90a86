// SPDX-License-Identifier: MIT

import Descriptors
import RTunDaemon
import TestSupport
import Testing
import Transfer

struct SuspectsTests {
    private let scratch = ScratchFolder("suspects")
    private let culprit = TransferID(rawValue: 1)
    private let others = (2...4).map { TransferID(rawValue: $0) }

    /// The suspects as the daemon that starts now sees them.
    private func next(afterCrash: Bool = true) throws -> Suspects {
        try Suspects(in: try Directory.open(scratch.path), afterCrash: afterCrash)
    }

    @Test func `one of four transfers that crashes the daemon is found, the others finish`() throws {
        for _ in 0..<2 {
            let suspects = try next()
            for transfer in [culprit] + others { #expect(try suspects.begin(transfer) == .admitted) }
        }
        var suspects = try next()
        // All four are suspects now, and wait for one another.
        #expect(try suspects.begin(others[0]) == .admitted)
        #expect(try suspects.begin(culprit) == .later)
        suspects.end(others[0])
        #expect(try suspects.begin(culprit) == .admitted)
        #expect(try suspects.begin(others[1]) == .later)
        #expect(try suspects.begin(TransferID(rawValue: 9)) == .admitted, "who is no suspect does not wait")
        suspects = try next()
        #expect(suspects.setAside == [culprit])
        #expect(try suspects.begin(culprit) == .setAside)
        for transfer in others { #expect(try suspects.begin(transfer) == .admitted) }
        suspects = try next()
        #expect(try suspects.begin(culprit) == .setAside, "also after another crash")
        suspects = try next(afterCrash: false)
        #expect(try suspects.begin(culprit) == .setAside, "and after a clean start")
    }

    @Test func `being killed is no crash`() throws {
        for _ in 0..<8 {
            #expect(try next(afterCrash: false).begin(culprit) == .admitted)
        }
        #expect(try next().setAside == [])
    }

    @Test func `three crashes count only in a row`() throws {
        for _ in 0..<4 {
            for _ in 0..<2 { #expect(try next().begin(culprit) == .admitted) }
            // A crash while it does not run.
            _ = try next()
        }
        #expect(try next().begin(culprit) == .admitted)
        let suspects = try next()
        #expect(try suspects.begin(culprit) == .admitted)
        suspects.end(culprit)
        #expect(try next().begin(culprit) == .admitted, "it has ended well meanwhile")
        #expect(try next().setAside == [])
    }

    @Test func `a transfer that runs is not begun again`() throws {
        let suspects = try next()
        #expect(try suspects.begin(culprit) == .admitted)
        #expect(try suspects.begin(culprit) == .running)
        suspects.end(culprit)
        #expect(try suspects.begin(culprit) == .admitted)
    }

    @Test(arguments: ["", "x", "1 2\n", "zz 1 1\n", "\u{FFFD} 1 1\n", "1 -1 1\n"])
    func `a damaged file knows nothing`(_ text: String) throws {
        try TreeMaker.write(text, to: scratch.path + "/running-transfers")
        #expect(try next().setAside == [])
        #expect(try next().begin(culprit) == .admitted)
    }
}
