// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Testing

/// What honest records become: entries, steps, places of chunks.
struct ArchiveIndexTests {
    private var index = ArchiveIndex()

    init() throws {
        _ = try index.apply(header)
    }

    @Test mutating func `a folder is made and a small file waits for its chunk`() throws {
        #expect(try step(folder(0, "a")) == "make 0 a in -1")
        #expect(try step(folder(4, in: 0, "b")) == "make 1 b in 0")
        #expect(try step(file(5, in: 4, "empty", 0)) == "create 2 empty 0")
        #expect(try step(file(6, in: 4, "small", 3)) == nil)
        #expect(index.incompleteFiles == 1)
        #expect(try step(list(6, [chunk("abc")])) == nil)
        let targets = try index.claim([0...0])
        #expect(targets.count == 1)
        #expect(describe(targets[0]) == "whole 3 small in 1")
        #expect(targets[0].digest == digest(Array("abc".utf8)))
        #expect(index.incompleteFiles == 1)
        index.complete(targets[0])
        #expect(index.incompleteFiles == 0)
        #expect(index.recordCount == 6)
        #expect(index.listedChunks == 1)
        #expect(index.path(of: 3) == "a/b/small")
        #expect(index.index(ofNumber: 6) == 3)
        #expect(index.index(ofNumber: 3) == nil)
        #expect(index.index(ofNumber: 7) == nil)
        #expect(index.entries.map { $0.depth } == [0, 1, 2, 2])
    }

    @Test mutating func `chunks and holes lie behind one another over several lists`() throws {
        #expect(try step(file(0, "big", 1_000)) == nil)
        #expect(
            try step(list(0, [.hole(length: 100), chunk(50), .hole(length: 1), chunk(2)], isLast: false))
                == "create 0 big 1000"
        )
        #expect(try step(list(0, [chunk(300)], isLast: false)) == nil)
        #expect(try step(list(0, [chunk(47), .hole(length: 500)])) == "size 0 big 1000")
        let targets = try index.claim([0...3])
        #expect(targets.map(describe) == ["at 100 50 big", "at 151 2 big", "at 153 300 big", "at 453 47 big"])
        for target in targets { index.complete(target) }
        #expect(index.incompleteFiles == 0)
    }

    @Test mutating func `a stream has the size of its list`() throws {
        #expect(try step(file(0, "in", nil)) == nil)
        #expect(index.entries[0].size == nil)
        #expect(try step(list(0, [chunk(5)], isLast: false)) == "create 0 in 5")
        #expect(try step(list(0, [chunk(6), .hole(length: 10)], isLast: false)) == nil)
        let early = try index.claim([0...1])
        for target in early { index.complete(target) }
        #expect(index.incompleteFiles == 1, "its list goes on")
        #expect(try step(list(0, [])) == "size 0 in 21")
        #expect(index.entries[0].size == 21)
        #expect(index.incompleteFiles == 0)
    }

    @Test mutating func `a stream of one chunk is a whole file, and one of none is empty`() throws {
        #expect(try step(file(0, "in", nil)) == nil)
        #expect(try step(list(0, [chunk(5)])) == nil)
        #expect(describe(try index.claim([0...0])[0]) == "whole 0 in in -1")
        #expect(try step(file(1, "none", nil)) == nil)
        #expect(try step(list(1, [])) == "create 1 none 0")
    }

    @Test mutating func `a file of holes alone is complete without a frame`() throws {
        #expect(try step(file(0, "hole", .max)) == nil)
        #expect(try step(list(0, [.hole(length: .max - 1), .hole(length: 1)])) == "create 0 hole \(Int64.max)")
        #expect(index.incompleteFiles == 0)
    }

    @Test mutating func `a file that is taken back is discarded and its chunks dropped`() throws {
        _ = try step(file(0, "gone", 10))
        _ = try step(list(0, [chunk(4)], isLast: false))
        let before = try index.claim([0...0])
        #expect(describe(before[0]) == "at 0 4 gone")
        #expect(try step(list(0, [chunk(6)])) == "size 0 gone 10")
        #expect(try step(.retract(entry: 0, reason: .changed)) == "discard 0 gone")
        #expect(describe(try index.claim([1...1])[0]) == "drop 6")
        index.complete(before[0])
        #expect(index.incompleteFiles == 0)
        #expect(index.entries[0].isVoid)
        // The ordinals go on, and the name is free.
        _ = try step(file(1, "gone", 1))
        _ = try step(list(1, [chunk(1)]))
        #expect(describe(try index.claim([2...2])[0]) == "whole 1 gone in -1")
    }

    @Test mutating func `a file that is taken back in the middle of its list keeps its ordinals`() throws {
        _ = try step(file(0, "gone", 10))
        _ = try step(list(0, [chunk(4), chunk(1)], isLast: false))
        _ = try step(.retract(entry: 0, reason: .changed))
        #expect(index.listedChunks == 2)
        #expect(index.incompleteFiles == 0)
        #expect(failure(list(0, [chunk(5)])) == "a chunk list for what has none")
    }

    @Test mutating func `what is below a refused folder is void`() throws {
        _ = try step(folder(0, "a"))
        index.refuse(0)
        #expect(try step(folder(1, in: 0, "b")) == nil)
        #expect(try step(file(2, in: 1, "c", 3)) == nil)
        #expect(try step(list(2, [chunk("abc")])) == nil)
        #expect(try step(file(3, in: 1, "d", 0)) == nil)
        #expect(try step(entry(4, in: 0, "l", .symlink(target: "b"))) == nil)
        #expect(index.entries.allSatisfy { $0.isVoid })
        #expect(index.symlinkTargets.isEmpty)
        #expect(index.incompleteFiles == 0)
        #expect(describe(try index.claim([0...0])[0]) == "drop 3")
    }

    @Test mutating func `refusing a file twice counts once`() throws {
        _ = try step(file(0, "a", 3))
        _ = try step(file(1, "b", 3))
        index.refuse(0)
        index.refuse(0)
        #expect(index.incompleteFiles == 1)
    }

    @Test mutating func `a refused file goes on to be listed and is dropped`() throws {
        _ = try step(file(0, "a", 8))
        index.refuse(0)
        #expect(try step(list(0, [chunk(4)], isLast: false)) == nil)
        #expect(try step(list(0, [chunk(4)])) == nil)
        #expect(try index.claim([0...1]).map(describe) == ["drop 4", "drop 4"])
        #expect(try step(.retract(entry: 0, reason: .vanished)) == nil, "there is nothing to discard")
        #expect(index.incompleteFiles == 0)
    }

    @Test mutating func `links are kept for the end`() throws {
        _ = try step(folder(0, "a"))
        _ = try step(file(1, in: 0, "f", 0))
        #expect(try step(entry(2, in: 0, "s", .symlink(target: "f"))) == nil)
        #expect(try step(entry(3, in: 0, "h", .hardLink(to: 1))) == nil)
        #expect(index.symlinkTargets == [2: "f"])
        #expect(index.hardLinks == [3: 1])
    }

    @Test(
        arguments: [("../x", nil), ("../../x", 1), ("/x", 1), ("b/../x", 1), ("../../../x", 1)] as [(String, UInt8?)]
    )
    mutating func `a symlink that leaves the tree is one entry refused`(_ target: String, _ cause: UInt8?) throws {
        _ = try step(folder(0, "a"))
        _ = try step(folder(1, in: 0, "b"))
        let step = try step(entry(2, in: 1, "s", .symlink(target: target)))
        #expect(step == cause.map { _ in "report 2 linkLeavesTree" })
        #expect(index.entries[2].isVoid == (cause != nil))
        #expect(index.symlinkTargets.isEmpty == (cause != nil))
    }

    @Test mutating func `a symlink at the top may not climb`() throws {
        #expect(try step(entry(0, "s", .symlink(target: ".."))) == "report 0 linkLeavesTree")
        #expect(try step(entry(1, "t", .symlink(target: "s"))) == nil)
    }

    @Test mutating func `a path may have 128 names and no more`() throws {
        for number in 0..<128 as Range<UInt32> {
            _ = try step(folder(number, in: number == 0 ? nil : number - 1, "d"))
        }
        #expect(failure(folder(128, in: 127, "d")) == "a path is too deep or too long")
    }

    @Test mutating func `a path may have 4,096 bytes and no more`() throws {
        let long = String(repeating: "d", count: 255)
        for number in 0..<15 as Range<UInt32> {
            _ = try step(folder(number, in: number == 0 ? nil : number - 1, long))
        }
        _ = try step(folder(15, in: 14, String(repeating: "d", count: 254)))
        var longer = index
        #expect(throws: FormatError.self) { try longer.apply(file(16, in: 15, "xx", 0)) }
        _ = try step(file(16, in: 15, "x", 0))
        #expect(index.path(of: 16).utf8.count == 4_096)
    }

    @Test mutating func `chunks of one frame are claimed in the order of its runs`() throws {
        for number in 0..<5 as Range<UInt32> {
            _ = try step(file(number, "f\(number)", Int64(number) + 1))
            _ = try step(list(number, [chunk(Int(number) + 1)]))
        }
        #expect(try index.claim([1...2, 4...4]).map(\.length) == [2, 3, 5])
        #expect(try index.claim([0...0]).map(\.length) == [1])
    }

    // MARK: - Describing

    private mutating func step(_ record: Record) throws(FormatError) -> String? {
        switch try index.apply(record) {
        case nil: nil
        case .makeFolder(let entry, let parent, let name): "make \(entry) \(name) in \(parent)"
        case .createFile(let entry, let place, let size): "create \(entry) \(place.name) \(size)"
        case .setSize(let entry, let place, let size): "size \(entry) \(place.name) \(size)"
        case .discard(let entry, let place): "discard \(entry) \(place.name)"
        case .report(let entry, let cause): "report \(entry) \(cause)"
        }
    }

    private mutating func failure(_ record: Record) -> String? {
        do throws(FormatError) {
            _ = try index.apply(record)
            return nil
        } catch {
            return error.description
        }
    }

    private func describe(_ target: ChunkTarget) -> String {
        switch target.role {
        case .drop: "drop \(target.length)"
        case .wholeFile: "whole \(target.entry) \(target.place.name) in \(target.place.folder)"
        case .part(let offset): "at \(offset) \(target.length) \(target.place.name)"
        }
    }

    @Test(
        arguments: [
            ("README", "readme"), ("\u{E9}t\u{E9}", "e\u{301}te\u{301}"), ("\u{C9}", "e\u{301}"),
            ("stra\u{DF}e", "STRASSE"),
            ("\u{FB03}", "ffi"), ("\u{212A}", "k"), ("\u{3A3}", "\u{3C2}"),
        ]
    )
    func `of names that a file system may take for one the first stands, where it does`(
        _ first: String,
        _ second: String
    ) throws {
        for isFolding in [true, false] {
            var index = ArchiveIndex(foldsNames: isFolding)
            _ = try index.apply(header)
            _ = try index.apply(folder(0, "d"))
            _ = try index.apply(entry(1, in: 0, first, .file(size: 1)))
            _ = try index.apply(entry(2, in: 0, second, .folder))
            _ = try index.apply(entry(3, in: 2, first, .file(size: 0)))
            _ = try index.apply(entry(4, second, .folder))
            #expect(index.entries.map(\.isVoid) == [false, false, isFolding, isFolding, false])
            // Taken back, it leaves its name free.
            _ = try index.apply(.retract(entry: 1, reason: .vanished))
            _ = try index.apply(entry(5, in: 0, second + " ", .symlink(target: "x")))
            _ = try index.apply(entry(6, in: 0, first, .symlink(target: "x")))
            #expect(!index.entries[6].isVoid)
        }
    }
}
