// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing

struct SourcePlannerTests {
    private static let chunk = 4 << 20
    private let scratch = ScratchFolder("plan")
    private var root: String { "\(scratch.path)/root" }
    private var generator = SeededGenerator(seed: 20)

    @Test mutating func `files at every edge of a chunk arrive whole`() throws {
        var expected: [String: [UInt8]] = [:]
        for size in [0, 1, 65_536, Self.chunk - 1, Self.chunk, Self.chunk + 1, 2 * Self.chunk + 17] {
            let bytes = generator.bytes(size)
            expected["root/\(size)"] = bytes
            try TreeMaker.write(bytes, to: "\(root)/\(size)")
        }
        let packed = try PackedSource(planner(root))
        #expect(packed.files == expected)
        #expect(packed.problems.isEmpty)
        #expect(packed.fileCount == expected.count)
        #expect(packed.frames.allSatisfy { $0.bytes <= Self.chunk })
    }

    @Test func `a file of 4 MiB is one chunk and a longer one is cut by content`() throws {
        try TreeMaker.write([UInt8](repeating: 1, count: Self.chunk), to: "\(root)/a")
        try TreeMaker.write([UInt8](repeating: 1, count: Self.chunk + 1), to: "\(root)/b")
        let lists = try PackedSource(planner(root)).records.compactMap { record -> [Int64]? in
            guard case .chunks(let list) = record else { return nil }
            return list.items.map(\.length)
        }
        #expect(lists == [[4_194_304], [4_194_304], [1]])
    }

    @Test func `small files share frames of at most 4 MiB and 512 entries`() throws {
        for number in 0..<1_300 { try TreeMaker.write("\(number)", to: "\(root)/tiny/\(10_000 + number)") }
        for number in 0..<10 { try TreeMaker.write([UInt8](repeating: 3, count: 1 << 20), to: "\(root)/z/\(number)") }
        let packed = try PackedSource(planner(root))
        #expect(packed.files.count == 1_310)
        #expect(packed.frames.count <= 7)
        #expect(packed.frames.allSatisfy { $0.bytes <= Self.chunk && $0.chunks <= 512 })
        #expect(packed.frames.contains { $0.chunks > 300 })
        #expect(packed.frames.contains { $0.bytes == Self.chunk })
    }

    @Test func `a large file does not hold back or lose the small ones around it`() throws {
        try TreeMaker.write("before", to: "\(root)/a")
        try TreeMaker.write([UInt8](repeating: 2, count: 9 << 20), to: "\(root)/b")
        try TreeMaker.write("after", to: "\(root)/c")
        let packed = try PackedSource(planner(root))
        #expect(packed.paths == ["root", "root/a", "root/b", "root/c"])
        #expect(packed.files["root/b"]?.count == 9 << 20)
        #expect(packed.files["root/c"] == Array("after".utf8))
    }

    @Test func `holes are sent as holes`() throws {
        try TreeMaker.writeSparse(to: "\(root)/sparse", size: 40 << 20, dataAt: [0, 20 << 20])
        try TreeMaker.writeSparse(to: "\(root)/hole", size: 8 << 20, dataAt: [])
        let packed = try PackedSource(planner(root))
        #expect(packed.files["root/hole"] == [UInt8](repeating: 0, count: 8 << 20))
        let sparse = try #require(packed.files["root/sparse"])
        #expect(sparse.count == 40 << 20)
        #expect(sparse.starts(with: "data at 0".utf8))
        #expect(sparse[(20 << 20)...].starts(with: "data at 20971520".utf8))
        #expect(packed.frames.reduce(0) { $0 + $1.bytes } < 1 << 20)
    }

    @Test func `a file of several names that does not fit the last frame is sent, and is no link to itself`() throws {
        try TreeMaker.write("before", to: "\(root)/a")
        try TreeMaker.writeSparse(to: "\(root)/b", size: 2 << 20, dataAt: [1 << 20])
        try TreeMaker.write([UInt8](repeating: 1, count: 3 << 20), to: "\(root)/c")
        try TreeMaker.write([UInt8](repeating: 2, count: 3 << 20), to: "\(root)/d")
        try TreeMaker.write([UInt8](repeating: 3, count: 9 << 20), to: "\(root)/e")
        for name in ["b", "d", "e"] { #expect(link("\(root)/\(name)", "\(root)/z\(name)") == 0) }
        let packed = try PackedSource(planner(root))
        #expect(packed.problems.isEmpty)
        #expect(packed.files["root/b"]?.count == 2 << 20)
        #expect(packed.files["root/d"]?.count == 3 << 20)
        #expect(packed.files["root/e"]?.count == 9 << 20)
        #expect(packed.fileCount == 8)
    }

    @Test func `an inode with several names is sent once`() throws {
        try TreeMaker.write("content", to: "\(root)/a/first")
        try TreeMaker.folder("\(root)/b")
        #expect(link("\(root)/a/first", "\(root)/b/second") == 0)
        #expect(link("\(root)/a/first", "\(root)/a/third") == 0)
        let packed = try PackedSource(planner(root))
        #expect(packed.frames.reduce(0) { $0 + $1.bytes } == 7)
        let links = packed.records.compactMap { record -> String? in
            guard case .entry(let entry) = record, case .hardLink(let number) = entry.content else { return nil }
            return "\(entry.name) \(number)"
        }
        #expect(links == ["third 2", "second 2"])
        #expect(packed.fileCount == 3)
    }

    @Test func `a name of a file that could not be sent is named too`() throws {
        try TreeMaker.write("content", to: "\(root)/a")
        #expect(link("\(root)/a", "\(root)/b") == 0)
        let packed = try PackedSource(planner(root)) { _ in
            for name in ["a", "b"] { try FileManager.default.removeItem(atPath: "\(root)/\(name)") }
        }
        #expect(packed.complaints == ["root/a: vanished", "root/b: changed"])
        #expect(packed.files.isEmpty)
    }

    @Test func `a symlink is sent if it stays in the tree`() throws {
        try TreeMaker.folder("\(root)/d")
        for (name, target) in [("in", "d"), ("up", ".."), ("abs", "/etc"), ("d/ok", "../in"), ("d/out", "../../x")] {
            #expect(symlink(target, "\(root)/\(name)") == 0)
        }
        let packed = try PackedSource(planner(root))
        #expect(packed.paths == ["root", "root/d", "root/d/ok", "root/in"])
        #expect(
            packed.complaints == ["root/abs: linkLeavesTree", "root/d/out: linkLeavesTree", "root/up: linkLeavesTree"]
        )
    }

    // MARK: - Files that change

    @Test func `a small file that is rewritten before it is read arrives as it is then`() throws {
        try TreeMaker.write("old", to: "\(root)/a")
        try TreeMaker.write("after", to: "\(root)/b")
        let packed = try PackedSource(planner(root)) { _ in try TreeMaker.write("new", to: "\(root)/a") }
        #expect(packed.files == ["root/a": Array("new".utf8), "root/b": Array("after".utf8)])
        #expect(packed.problems.isEmpty)
    }

    @Test func `a small file that is cut short arrives as it is then`() throws {
        try TreeMaker.write("longer", to: "\(root)/a")
        try TreeMaker.write("after", to: "\(root)/b")
        let packed = try PackedSource(planner(root)) { _ in try TreeMaker.write("x", to: "\(root)/a") }
        #expect(packed.files == ["root/a": Array("x".utf8), "root/b": Array("after".utf8)])
        #expect(packed.problems.isEmpty)
    }

    @Test func `a small file that vanishes is named and the others arrive`() throws {
        try TreeMaker.write("gone", to: "\(root)/a")
        try TreeMaker.write("after", to: "\(root)/b")
        let packed = try PackedSource(planner(root)) { _ in
            try FileManager.default.removeItem(atPath: "\(root)/a")
        }
        #expect(packed.files == ["root/b": Array("after".utf8)])
        #expect(packed.complaints == ["root/a: vanished"])
    }

    @Test func `a small file that becomes something else is named and nobody waits`() throws {
        try TreeMaker.write("gone", to: "\(root)/a")
        try TreeMaker.write("gone", to: "\(root)/b")
        try TreeMaker.write("gone", to: "\(root)/c")
        let packed = try PackedSource(planner(root)) { _ in
            for name in ["a", "b", "c"] { try FileManager.default.removeItem(atPath: "\(root)/\(name)") }
            #expect(mkfifo("\(root)/a", 0o600) == 0)
            try TreeMaker.folder("\(root)/b")
            #expect(symlink("/etc/passwd", "\(root)/c") == 0)
        }
        #expect(packed.files.isEmpty)
        #expect(packed.problems.map(\.path) == ["root/a", "root/b", "root/c"])
        #expect(packed.problems.allSatisfy { !$0.isBenign })
    }

    @Test func `a file that outgrew the room in its frame arrives as it is then, in a frame of its own`() throws {
        try TreeMaker.write("small", to: "\(root)/a")
        try TreeMaker.write([UInt8](repeating: 5, count: Self.chunk - 5), to: "\(root)/b")
        let packed = try PackedSource(planner(root)) { number in
            if number == 0 { try TreeMaker.write("other, and much more", to: "\(root)/a") }
        }
        // Its first five bytes were never a file.
        #expect(packed.files["root/a"] == Array("other, and much more".utf8))
        #expect(packed.files["root/b"]?.count == Self.chunk - 5)
        #expect(packed.problems.isEmpty)
    }

    @Test func `a large file that grows arrives with the size it had at open`() throws {
        try TreeMaker.write([UInt8](repeating: 5, count: 9 << 20), to: "\(root)/a")
        let packed = try PackedSource(planner(root)) { number in
            guard number == 1 else { return }
            let file = try #require(FileHandle(forWritingAtPath: "\(root)/a"))
            try file.seekToEnd()
            try file.write(contentsOf: Data("more".utf8))
            try file.close()
        }
        #expect(packed.files["root/a"] == [UInt8](repeating: 5, count: 9 << 20))
        #expect(packed.complaints == ["root/a: grew"])
    }

    @Test func `a large file that changes once is taken back and sent anew`() throws {
        try TreeMaker.write([UInt8](repeating: 5, count: 9 << 20), to: "\(root)/a")
        try TreeMaker.write("after", to: "\(root)/b")
        let packed = try PackedSource(planner(root)) { number in
            if number == 1 { try TreeMaker.write([UInt8](repeating: 6, count: 9 << 20), to: "\(root)/a") }
        }
        #expect(packed.files["root/a"] == [UInt8](repeating: 6, count: 9 << 20))
        #expect(packed.files["root/b"] == Array("after".utf8))
        #expect(packed.problems.isEmpty)
        #expect(packed.records.contains { if case .retract(_, .changed) = $0 { true } else { false } })
    }

    @Test func `a large file that changes under every reading is named`() throws {
        try TreeMaker.write([UInt8](repeating: 0, count: 9 << 20), to: "\(root)/a")
        try TreeMaker.write("after", to: "\(root)/b")
        var round: UInt8 = 0
        let packed = try PackedSource(planner(root)) { _ in
            round += 1
            try TreeMaker.write([UInt8](repeating: round, count: 9 << 20), to: "\(root)/a")
        }
        #expect(packed.files == ["root/b": Array("after".utf8)])
        #expect(packed.complaints == ["root/a: changed"])
        #expect(packed.problems.first?.isBenign == false)
    }

    @Test func `a large file that is cut short is taken back`() throws {
        try TreeMaker.write([UInt8](repeating: 5, count: 9 << 20), to: "\(root)/a")
        let packed = try PackedSource(planner(root)) { number in
            if number == 0 { #expect(truncate("\(root)/a", 5 << 20) == 0) }
        }
        #expect(packed.files["root/a"] == [UInt8](repeating: 5, count: 5 << 20))
    }

    @Test(.enabled(if: geteuid() != 0, "root reads everything")) func `an unreadable file is named`() throws {
        try TreeMaker.write("secret", to: "\(root)/a", mode: 0)
        try TreeMaker.write("open", to: "\(root)/b")
        let packed = try PackedSource(planner(root))
        #expect(packed.files == ["root/b": Array("open".utf8)])
        #expect(packed.problems.map(\.path) == ["root/a"])
    }

    // MARK: - Files without a size

    #if os(Linux)
    @Test func `a file that says no size has its bytes sent`() throws {
        let packed = try PackedSource(planner("/proc/version"))
        #expect(packed.files["version"] == FileManager.default.contents(atPath: "/proc/version").map { [UInt8]($0) })
        #expect(packed.problems.isEmpty)
    }

    @Test(arguments: [0, 1, 20, 1_000]) func `a file that says no size keeps its bytes in a full frame`(
        _ room: Int
    ) throws {
        let version = try #require(FileManager.default.contents(atPath: "/proc/version"))
        try TreeMaker.write([UInt8](repeating: 5, count: Self.chunk - room), to: "\(root)/full")
        let sources = [try source("/proc/version"), try source("\(root)/full")]
        let packed = try PackedSource(SourcePlanner(walk: SourceWalk(sources: sources, options: WalkOptions())))
        // Either all of it arrives, or it is named; it never arrives empty or cut without a word.
        if packed.problems.isEmpty {
            #expect(packed.files["version"] == [UInt8](version))
        } else {
            #expect(packed.problems.map(\.path) == ["version"])
            #expect(packed.files["version"] == nil)
        }
        #expect(packed.files["full"]?.count == Self.chunk - room)
    }
    #endif

    // MARK: - Streams

    @Test(arguments: [0, 1, 4_095, 100_000, Self.chunk, Self.chunk + 1, 9 << 20])
    mutating func `a stream arrives whole however it is read`(_ size: Int) throws {
        let bytes = generator.bytes(size)
        let (reading, writing) = try Self.pipe()
        // Odd pieces, from a thread of its own: the planner blocks until it has a slab full.
        let feed = Thread {
            var rest = bytes[...]
            var step = 1
            while !rest.isEmpty {
                let count = Array(rest.prefix(step)).withUnsafeBytes { write(writing, $0.baseAddress, $0.count) }
                guard count > 0 else { break }
                rest = rest.dropFirst(count)
                step = step * 3 % 70_001 + 1
            }
            close(writing)
        }
        feed.start()
        let stream = StreamSource(reading: OwnedDescriptor(adopting: reading), name: name("stdin"))
        let planner = SourcePlanner(walk: SourceWalk(sources: [], options: WalkOptions()), stream: stream)
        let packed = try PackedSource(planner)
        #expect(packed.files == ["stdin": bytes])
        #expect(packed.problems.isEmpty)
        #expect(packed.fileCount == 1)
        guard case .entry(let entry) = packed.records[1] else {
            Issue.record("no entry")
            return
        }
        #expect(entry.content == .file(size: nil))
    }

    @Test func `a stream comes behind the files`() throws {
        try TreeMaker.write("file", to: "\(root)/a")
        let (reading, writing) = try Self.pipe()
        #expect(write(writing, "stream", 6) == 6)
        close(writing)
        let stream = StreamSource(reading: OwnedDescriptor(adopting: reading), name: name("stdin"))
        let walk = SourceWalk(sources: [try source(root)], options: WalkOptions())
        let packed = try PackedSource(SourcePlanner(walk: walk, stream: stream))
        #expect(packed.paths == ["root", "root/a", "stdin"])
        #expect(packed.files["stdin"] == Array("stream".utf8))
    }

    @Test func `a stream that fails is taken back and named`() throws {
        // Reading a folder fails with EISDIR.
        let folder = open(scratch.path, O_RDONLY | O_DIRECTORY)
        let stream = StreamSource(reading: OwnedDescriptor(adopting: folder), name: name("stdin"))
        let packed = try PackedSource(
            SourcePlanner(walk: SourceWalk(sources: [], options: WalkOptions()), stream: stream)
        )
        #expect(packed.files.isEmpty)
        #expect(packed.problems.map(\.path) == ["stdin"])
    }

    @Test func `a plan that is cancelled ends though its stream is silent`() throws {
        let (reading, writing) = try Self.pipe()
        defer { close(writing) }
        let stream = StreamSource(reading: OwnedDescriptor(adopting: reading), name: name("stdin"))
        let planner = SourcePlanner(walk: SourceWalk(sources: [], options: WalkOptions()), stream: stream)
        let slab = try Slab(capacity: 4 << 20)
        Thread { planner.cancel() }.start()
        let isOver = planner.next(into: slab) == nil
        #expect(isOver)
    }

    private static func pipe() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        guard Foundation.pipe(&ends) == 0 else { throw TestSupportFailure("pipe: errno \(errno)") }
        return (ends[0], ends[1])
    }
}
