// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing

/// A staging tree that somebody else changed: links in it are never followed, and nothing outside is touched.
struct HostileStagingTests {
    private let archive: StagedArchive
    private let outside = ScratchFolder("outside")

    init() throws {
        archive = try StagedArchive()
        try TreeMaker.write("sentinel", to: "\(outside.path)/f", mode: 0o600)
        try TreeMaker.setTime("\(outside.path)/f", seconds: 1_000, nanoseconds: 0)
        try TreeMaker.setTime(outside.path, seconds: 2_000, nanoseconds: 0)
    }

    private func expectOutsideUntouched() {
        #expect(names(in: outside.path) == ["f"])
        #expect(contents("\(outside.path)/f") == "sentinel")
        let status = PlainStatus("\(outside.path)/f")
        #expect(status?.mode == 0o600 && status?.modified.seconds == 1_000 && status?.links == 1)
        #expect(PlainStatus(outside.path)?.modified.seconds == 2_000)
    }

    @Test func `a planted link in place of a folder is not entered`() throws {
        try archive.take([folder(0, "d"), folder(1, in: 0, "inner")])
        try FileManager.default.removeItem(atPath: archive.staged("d/inner"))
        #expect(symlink(outside.path, archive.staged("d/inner")) == 0)
        // Whether it counts as a fault of the disk or as one entry refused, it is not followed.
        _ = try? archive.take([file(2, in: 1, "empty", 0), folder(3, in: 1, "more")])
        _ = try? archive.take([file(4, in: 1, "f", 3), list(4, [chunk("new")])])
        _ = try? archive.write(0, "new")
        _ = try? archive.finish()
        expectOutsideUntouched()
    }

    @Test func `a planted link in place of a file is not written`() throws {
        try archive.take([file(0, "f", nil), list(0, [chunk("a"), chunk("b")], isLast: false)])
        try FileManager.default.removeItem(atPath: archive.staged("f"))
        #expect(symlink("\(outside.path)/f", archive.staged("f")) == 0)
        #expect(throws: StagingError.self) { try archive.write(0, "a") }
        #expect(throws: StagingError.self) { try archive.take([list(0, [])]) }
        expectOutsideUntouched()
    }

    @Test func `a planted link has its name like anything else`() throws {
        for (number, name) in ["d", "e", "w", "s", "h"].enumerated() {
            #expect(symlink(number < 1 ? outside.path : "\(outside.path)/new\(number)", archive.staged(name)) == 0)
        }
        #expect(try archive.take([folder(0, "d"), file(1, "e", 0)]) == ["d: nameStands", "e: nameStands"])
        try archive.take([
            file(2, "w", 1), list(2, [chunk("w")]), entry(3, "s", .symlink(target: "w")), file(4, "ok", 0),
            entry(5, "h", .hardLink(to: 4)),
        ])
        #expect(try archive.write(0, "w") == ["w: nameStands"])
        #expect(try archive.finish() == ["h: nameStands", "s: nameStands"])
        expectOutsideUntouched()
    }

    @Test func `a planted FIFO does not keep anybody waiting`() throws {
        try archive.take([file(0, "f", nil), list(0, [chunk("a"), chunk("b")])])
        try FileManager.default.removeItem(atPath: archive.staged("f"))
        #expect(mkfifo(archive.staged("f"), 0o600) == 0)
        #expect(throws: StagingError.self) { try archive.write(0, "a") }
    }

    @Test func `a folder that was given another mode or replaced is not followed at the end`() throws {
        try archive.take([folder(0, "d", mode: 0o755)])
        try FileManager.default.removeItem(atPath: archive.staged("d"))
        #expect(symlink(outside.path, archive.staged("d")) == 0)
        _ = try? archive.finish()
        expectOutsideUntouched()
        #expect(PlainStatus(outside.path)?.mode == 0o700)
    }

    @Test func `a planted link in place of the common folder is refused`() throws {
        let scratch = ScratchFolder("planted")
        #expect(symlink(outside.path, "\(scratch.path)/.rtun-part") == 0)
        let destination = try Directory.open(scratch.path)
        #expect(throws: StagingError.self) { _ = try Staging(in: destination, name: "t") }
        expectOutsideUntouched()
    }

    @Test func `removing the staging folder does not follow what is in it`() throws {
        #expect(symlink(outside.path, archive.staged("d")) == 0)
        try archive.take([folder(0, "e")])
        #expect(symlink(outside.path, archive.staged("e/x")) == 0)
        try archive.staging.remove()
        expectOutsideUntouched()
        #expect(names(in: archive.scratch.path).isEmpty)
    }
}
