// SPDX-License-Identifier: MIT

#if os(Linux)
import Archive
import Descriptors
import Foundation
import Synchronization
import TestSupport
import Testing

/// Folders that somebody swaps for links that lead out, again and again, while rtun works in them.
struct RaceTests {
    private static let duration: Duration = .seconds(2)

    private let scratch = ScratchFolder("race")

    /// Exchanges `folder` in `holder` for a link to `outside` and back, until `body` returns; returns how often.
    private func swapping(_ folder: String, in holder: Directory, during body: () throws -> Void) throws -> Int {
        try holder.makeSymlink(folder + " link", target: scratch.path + "/outside")
        let hasEnded = Atomic(false)
        let swaps = Atomic(0)
        let thread = Thread {
            while !hasEnded.load(ordering: .acquiring) {
                // What stands under the name meanwhile may be gone for a moment.
                do { try holder.exchange(folder, with: folder + " link", in: holder) } catch { continue }
                swaps.add(1, ordering: .relaxed)
            }
            swaps.add(1 << 32, ordering: .releasing)
        }
        thread.start()
        defer {
            hasEnded.store(true, ordering: .releasing)
            while swaps.load(ordering: .acquiring) < 1 << 32 { sched_yield() }
        }
        try body()
        return swaps.load(ordering: .acquiring) & 0xFFFF_FFFF
    }

    private func makeOutside() throws {
        try TreeMaker.write("precious", to: scratch.path + "/outside/f", mode: 0o640)
        try TreeMaker.setTime("\(scratch.path)/outside/f", seconds: 1_000, nanoseconds: 0)
        try TreeMaker.setTime("\(scratch.path)/outside", seconds: 2_000, nanoseconds: 0)
    }

    private func expectOutsideUntouched(_ when: String) {
        #expect(names(in: scratch.path + "/outside") == ["f"], "\(when)")
        #expect(contents(scratch.path + "/outside/f") == "precious", "\(when)")
        let file = PlainStatus(scratch.path + "/outside/f")
        #expect(file?.mode == 0o640 && file?.links == 1 && file?.modified.seconds == 1_000, "\(when)")
        #expect(PlainStatus(scratch.path + "/outside")?.modified.seconds == 2_000, "\(when)")
    }

    @Test func `what is staged and published never follows a folder that becomes a link meanwhile`() throws {
        try makeOutside()
        let archive = try StagedArchive(in: scratch)
        try archive.take([folder(0, "d"), folder(1, in: 0, "inner")])
        let tree = try Directory.open(archive.staged("d"))
        var number: UInt32 = 2
        var ordinal: UInt64 = 0
        let start = ContinuousClock.now
        let swaps = try swapping("inner", in: tree) {
            while ContinuousClock.now - start < Self.duration, number < 60_000 {
                // Refused or a fault of the disk while the link stands there; both are right.
                _ = try? archive.take([folder(number, in: 1, "d\(number)"), file(number + 1, in: 1, "e\(number)", 0)])
                _ = try? archive.take([file(number + 2, in: 1, "f\(number)", 3), list(number + 2, [chunk("new")])])
                if archive.index.listedChunks > ordinal {
                    _ = try? archive.write(ordinal, "new")
                    ordinal = archive.index.listedChunks
                }
                number += 3
            }
            _ = try? archive.finish()
        }
        expectOutsideUntouched("\(swaps) swaps")
        #expect(swaps > 100)
    }

    @Test func `a destination that becomes a link meanwhile gets nothing behind the link`() throws {
        try makeOutside()
        try TreeMaker.folder(scratch.path + "/inbox/sub")
        let inbox = try Directory.open(scratch.path + "/inbox")
        var delivered = 0
        let start = ContinuousClock.now
        let swaps = try swapping("sub", in: inbox) {
            while ContinuousClock.now - start < Self.duration {
                do throws(SystemError) {
                    let folder = try inbox.openOrMakeDirectory("sub")
                    try folder.createFile("new \(delivered)").close()
                    try folder.renameWithoutReplacing("new \(delivered)", to: "final \(delivered)", in: folder)
                    delivered += 1
                } catch {
                    // The link stands there.
                    #expect(
                        ["Not a directory", "Too many levels of symbolic links"].contains("\(error.errno)"),
                        "\(error)"
                    )
                }
            }
        }
        expectOutsideUntouched("\(swaps) swaps, \(delivered) files")
        #expect(swaps > 100 && delivered > 0)
    }

    @Test func `removing a tree never follows a folder that becomes a link meanwhile`() throws {
        try makeOutside()
        let root = try Directory.open(scratch.path)
        var rounds = 0
        let start = ContinuousClock.now
        while ContinuousClock.now - start < Self.duration {
            try TreeMaker.write("x", to: scratch.path + "/tree/inner/f")
            let tree = try Directory.open(scratch.path + "/tree")
            _ = try swapping("inner", in: tree) {
                // It may stop at a name that changed under it, and then goes on.
                for _ in 0..<20 where (try? root.removeTree("tree")) == nil {}
            }
            try? root.removeTree("tree")
            rounds += 1
        }
        expectOutsideUntouched("\(rounds) rounds")
    }
}
#endif
