// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing

struct PublicationTests {
    private let archive: StagedArchive

    init() throws {
        archive = try StagedArchive()
    }

    @Test func `nothing has a final name before it is published`() throws {
        try archive.take([folder(0, "d"), file(1, in: 0, "f", 1), list(1, [chunk("x")]), file(2, "top", 0)])
        try archive.write(0, "x")
        _ = try archive.finish()
        #expect(names(in: archive.scratch.path) == [".rtun-part"])
        #expect(try archive.publish() == ["d", "top"])
        try archive.staging.remove()
        #expect(names(in: archive.scratch.path) == ["d", "top"])
        #expect(contents(archive.final("d/f")) == "x")
    }

    @Test func `what stands is never replaced`() throws {
        try TreeMaker.write("mine", to: archive.final("a.tar.gz"))
        try TreeMaker.write("mine too", to: archive.final("a (2).tar.gz"))
        try TreeMaker.folder(archive.final("d.x"))
        #expect(symlink("nowhere", archive.final("l.txt")) == 0)
        try archive.take([
            file(0, "a.tar.gz", 1), list(0, [chunk("x")]), folder(1, "d.x"), file(2, "l.txt", 0), file(3, "new", 0),
        ])
        try archive.write(0, "x")
        #expect(try archive.publish() == ["a (3).tar.gz", "d.x (2)", "l (2).txt", "new"])
        #expect(contents(archive.final("a.tar.gz")) == "mine")
        #expect(contents(archive.final("a (2).tar.gz")) == "mine too")
        #expect(contents(archive.final("a (3).tar.gz")) == "x")
        #expect(names(in: archive.final("d.x")).isEmpty)
        #expect(target(ofLink: archive.final("l.txt")) == "nowhere")
        #expect(PlainStatus(archive.final("nowhere")) == nil)
    }

    @Test func `a folder beside a folder of its name is another one`() throws {
        try TreeMaker.write("mine", to: archive.final("d/mine"))
        try archive.take([folder(0, "d"), file(1, in: 0, "f", 0)])
        #expect(try archive.publish() == ["d (2)"])
        #expect(names(in: archive.final("d")) == ["mine"])
        #expect(names(in: archive.final("d (2)")) == ["f"])
    }

    @Test(arguments: [0, 1, 300_000]) func `an identical file is skipped`(_ size: Int) throws {
        let bytes = [UInt8](repeating: 0x61, count: size)
        try TreeMaker.write(bytes, to: archive.final("f"))
        let before = try #require(PlainStatus(archive.final("f")))
        try archive.take(
            size == 0
                ? [file(0, "f", 0)]
                : [file(0, "f", Int64(size)), list(0, [.chunk(length: size, digest: digest(bytes))])]
        )
        if size > 0 { try archive.write([0...0], [bytes]) }
        #expect(try archive.publish() == [nil])
        #expect(PlainStatus(archive.final("f"))?.inode == before.inode)
        try archive.staging.remove()
        #expect(names(in: archive.scratch.path) == ["f"])
    }

    @Test func `a file that differs in one byte, or stands under a number, is told apart`() throws {
        let bytes = [UInt8](repeating: 0x61, count: 600_000)
        var other = bytes
        other[599_999] = 0x62
        try TreeMaker.write(other, to: archive.final("f"))
        try TreeMaker.write(bytes, to: archive.final("f (2)"))
        try archive.take([file(0, "f", 600_000), list(0, [.chunk(length: 600_000, digest: digest(bytes))])])
        try archive.write([0...0], [bytes])
        #expect(try archive.publish() == [nil], "the numbered one is identical")
    }

    @Test func `a symlink to an identical file is no identical file`() throws {
        try TreeMaker.write("x", to: archive.final("real"))
        #expect(symlink("real", archive.final("f")) == 0)
        try archive.take([file(0, "f", 1), list(0, [chunk("x")])])
        try archive.write(0, "x")
        #expect(try archive.publish() == ["f (2)"])
    }

    @Test func `what was refused or taken back gets no name`() throws {
        try archive.take([
            file(0, "a", 0), file(1, "a", 0), file(2, "b", 0), .retract(entry: 2, reason: .vanished),
            entry(3, "s", .symlink(target: "..")), entry(4, "t", .symlink(target: "a")),
        ])
        #expect(try archive.publish() == ["a", "t"])
        try archive.staging.remove()
        #expect(names(in: archive.scratch.path) == ["a", "t"])
    }

    @Test func `a name may be wished for`() throws {
        try archive.take([file(0, "picture.png", 0)])
        #expect(try archive.publish(naming: { _ in "1234-picture.png" }) == ["1234-picture.png"])
        #expect(names(in: archive.scratch.path) == [".rtun-part", "1234-picture.png"])
    }

    @Test(
        arguments: [
            ("a.tar.gz", 2, false, "a (2).tar.gz"), ("a.txt", 3, false, "a (3).txt"), ("a", 2, false, "a (2)"),
            (".bashrc", 2, false, ".bashrc (2)"), (".a.txt", 2, false, ".a (2).txt"), ("v1.2", 2, true, "v1.2 (2)"),
            ("a.tar.gz", 2, true, "a.tar.gz (2)"), (".tar.gz", 2, false, ".tar (2).gz"), ("a.", 2, false, "a (2)."),
            ("a.b.c", 9_999, false, "a.b (9999).c"), ("a (2).txt", 2, false, "a (2) (2).txt"),
            ("x.tar.zst", 2, false, "x (2).tar.zst"), ("日本.txt", 2, false, "日本 (2).txt"),
        ]
    )
    func `a number goes before the ending`(_ name: String, _ number: Int, _ isFolder: Bool, _ expected: String) {
        #expect(Publication.numbered(name, number, isFolder: isFolder) == expected)
    }

    @Test(
        arguments: [
            String(repeating: "x", count: 255), String(repeating: "x", count: 251) + ".txt",
            String(repeating: "é", count: 127), "a." + String(repeating: "x", count: 253),
            "." + String(repeating: "x", count: 254), String(repeating: "x", count: 248) + ".tar.gz",
            "e" + String(repeating: "\u{301}", count: 127), ".x." + String(repeating: "é", count: 126),
        ]
    )
    func `a numbered name is a name`(_ long: String) throws {
        for isFolder in [false, true] {
            for number in [2, 10, 9_999] {
                let numbered = Publication.numbered(long, number, isFolder: isFolder)
                #expect(numbered.utf8.count <= 255)
                #expect(numbered.contains("(\(number))"))
                #expect(throws: Never.self) { try EntryName(validating: numbered.utf8) }
            }
        }
    }

    @Test func `a file with a long ending finds a place beside one of its name`() throws {
        let long = "a." + String(repeating: "x", count: 253)
        try TreeMaker.write("mine", to: archive.final(long))
        try archive.take([file(0, long, 1), list(0, [chunk("x")])])
        try archive.write(0, "x")
        let published = try archive.publish()
        #expect(published.count == 1 && published[0] != nil)
        #expect(contents(archive.final(long)) == "mine")
    }

    @Test func `two archives of one name end beside one another`() throws {
        let other = try StagedArchive(in: archive.scratch, name: "other")
        for (archive, text) in [(archive, "one"), (other, "two")] {
            try archive.take([file(0, "f", 3), list(0, [chunk(text)])])
            try archive.write(0, text)
        }
        #expect(try other.publish() == ["f"])
        #expect(try archive.publish() == ["f (2)"])
        #expect(contents(archive.final("f")) == "two")
        #expect(contents(archive.final("f (2)")) == "one")
    }
}
