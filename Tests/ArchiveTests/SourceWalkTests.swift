// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing

struct SourceWalkTests {
    private let scratch = ScratchFolder("walk")
    private var root: String { "\(scratch.path)/root" }

    @Test func `folders come before what is in them and names ascend bytewise`() throws {
        for path in ["b/2", "b/10", "b/1/x", "a", "B", "Z/z", "é", "b-", "b.txt", "ab", "~", " "] {
            try TreeMaker.write("", to: "\(root)/\(path)")
        }
        #expect(
            try walk() == [
                "root", "root/ ", "root/B", "root/Z", "root/Z/z", "root/a", "root/ab", "root/b", "root/b/1",
                "root/b/1/x", "root/b/10", "root/b/2", "root/b-", "root/b.txt", "root/~", "root/é",
            ]
        )
    }

    @Test func `entries are numbered upwards and name their folder`() throws {
        try TreeMaker.write("", to: "\(root)/a/b/c")
        try TreeMaker.write("", to: "\(root)/d")
        var walk = SourceWalk(sources: [try source(root), try source("\(root)/d")], options: WalkOptions())
        var seen: [String] = []
        while let step = walk.next() {
            guard case .entry(let entry) = step else { continue }
            seen.append("\(entry.number) \(entry.parent.map(String.init) ?? "-") \(entry.name) \(entry.depth)")
        }
        #expect(seen == ["0 - root 0", "1 0 a 1", "2 1 b 2", "3 2 c 3", "4 0 d 1", "5 - d 0"])
    }

    @Test func `what is not sent is named and the walk goes on`() throws {
        try TreeMaker.write("", to: "\(root)/z")
        #expect(mkfifo("\(root)/fifo", 0o600) == 0)
        let bad = Array("\(root)/b\u{1B}d".utf8) + [0]
        bad.withUnsafeBufferPointer { pointer in
            pointer.withMemoryRebound(to: CChar.self) { #expect(mkdir($0.baseAddress!, 0o700) == 0) }
        }
        try TreeMaker.write("", to: "\(root)/b\u{1B}d/unseen")
        try TreeMaker.write("", to: "\(root)/\u{202E}x")
        let invalid = Array("\(root)/n".utf8) + [0xFF, 0]
        invalid.withUnsafeBufferPointer { pointer in
            pointer.withMemoryRebound(to: CChar.self) { path in
                let file = open(path.baseAddress!, O_CREAT | O_WRONLY, 0o600)
                #expect(file >= 0)
                close(file)
            }
        }
        #expect(
            try walk() == [
                "root", "! root/b\u{1B}d name(control)", "! root/fifo special(fifo)", "! root/n\\xff name(notUTF8)",
                "root/z", "! root/\u{202E}x name(invisible)",
            ]
        )
    }

    @Test func `what the user names is followed, what is below is not`() throws {
        try TreeMaker.write("x", to: "\(scratch.path)/real/f")
        #expect(symlink("real", root) == 0)
        #expect(symlink("f", "\(scratch.path)/real/l") == 0)
        #expect(try walk() == ["root", "root/f", "root/l@"])
    }

    @Test func `links are followed or left out on request`() throws {
        try TreeMaker.write("x", to: "\(root)/d/f")
        #expect(symlink("d", "\(root)/to folder") == 0)
        #expect(symlink("d/f", "\(root)/to file") == 0)
        #expect(symlink("nowhere", "\(root)/to nothing") == 0)
        #expect(symlink("..", "\(root)/up") == 0)
        var options = WalkOptions()
        options.skipsLinks = true
        #expect(try walk(options) == ["root", "root/d", "root/d/f"])
        options = WalkOptions()
        options.copiesLinks = true
        let seen = try walk(options)
        #expect(
            Array(seen.prefix(7)) == [
                "root", "root/d", "root/d/f", "root/to file", "root/to folder", "root/to folder/f",
                "! root/to nothing vanished",
            ]
        )
    }

    @Test func `a link to a folder above it ends as a loop`() throws {
        try TreeMaker.folder("\(root)/d")
        #expect(symlink("..", "\(root)/d/up") == 0)
        var options = WalkOptions()
        options.copiesLinks = true
        #expect(try walk(options) == ["root", "root/d", "root/d/up", "! root/d/up loop"])
    }

    @Test func `what is excluded is not looked into`() throws {
        for path in ["keep", "drop.o", "sub/drop.o", "sub/keep", "build/x", "sub/build/y", "build2"] {
            try TreeMaker.write("", to: "\(root)/\(path)")
        }
        var options = WalkOptions()
        options.filter = PathFilter(
            excluding: [try PathPattern("*.o"), try PathPattern("/build")],
            including: [try PathPattern("/sub/drop.o")]
        )
        #expect(
            try walk(options) == [
                "root", "root/build2", "root/keep", "root/sub", "root/sub/build", "root/sub/build/y",
                "root/sub/drop.o", "root/sub/keep",
            ]
        )
    }

    @Test func `the root itself is never excluded`() throws {
        try TreeMaker.write("", to: "\(root)/root")
        var options = WalkOptions()
        options.filter = PathFilter(excluding: [try PathPattern("root")], including: [])
        #expect(try walk(options) == ["root"])
    }

    @Test func `a path of 128 names is sent and a deeper one named`() throws {
        var path = root
        for _ in 1..<130 { path += "/d" }
        try TreeMaker.folder(path)
        let seen = try walk()
        #expect(seen.count == 129)
        #expect(seen[127] == "root" + String(repeating: "/d", count: 127))
        #expect(seen[128] == "! root" + String(repeating: "/d", count: 128) + " tooDeep")
    }

    @Test(.enabled(if: geteuid() != 0, "root reads everything")) func `a folder that cannot be read is named`() throws {
        try TreeMaker.write("", to: "\(root)/closed/x")
        #expect(chmod("\(root)/closed", 0) == 0)
        let seen = try walk()
        #expect(seen.count == 3)
        #expect(seen[2].hasPrefix("! root/closed unreadable"))
    }

    @Test func `a source that is not there is named`() throws {
        #expect(try walk() == ["! root vanished"])
    }

    /// The steps of a walk as lines.
    private func walk(_ options: WalkOptions = WalkOptions()) throws -> [String] {
        var walk = SourceWalk(sources: [try source(root)], options: options)
        var lines: [String] = []
        while let step = walk.next(), lines.count < 10_000 {
            switch step {
            case .entry(let entry): lines.append(entry.path + (entry.status.kind == .symlink ? "@" : ""))
            case .problem(let problem): lines.append("! \(problem.path) \(describe(problem.kind))")
            }
        }
        return lines
    }

    private func describe(_ kind: SourceProblem.Kind) -> String {
        switch kind {
        case .name(let fault): "name(\(fault))"
        case .special(let kind): "special(\(kind))"
        default: "\(kind)"
        }
    }
}
