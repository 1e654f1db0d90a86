// SPDX-License-Identifier: MIT

import Codecs
import Descriptors
import Foundation
import TestSupport
import Testing

@testable import Archive

struct FilesCacheTests {
    private let scratch = ScratchFolder("files-cache")
    private let folder: Directory

    init() throws { folder = try Directory.open(scratch.path) }

    private func key(_ path: String, source: UInt32 = 0) -> FileKey { FileKey(source: source, path: Array(path.utf8)) }

    private func identity(_ inode: UInt64, size: Int64 = 3) throws -> FileIdentity {
        var bytes: [UInt8] = []
        bytes.append(varint: inode)
        bytes.append(varint: UInt64(size))
        for number in [1_000, 2_000] as [Int64] {
            bytes.append(svarint: number)
            bytes.append(varint: 5)
        }
        return try bytes.withSpan { span in
            var reader = ByteReader(span)
            return try FileIdentity(from: &reader)
        }
    }

    private func stretch(
        _ key: FileKey,
        _ identity: FileIdentity,
        _ text: String,
        offset: Int64 = 0,
        isLast: Bool = true,
        isSettled: Bool = true
    ) -> [UInt8] {
        let item = ChunksRecord.Item.chunk(length: text.utf8.count, digest: digest(Array(text.utf8)))
        var bytes: [UInt8] = []
        FileStretch(
            key: key,
            identity: identity,
            seen: 7,
            offset: offset,
            items: [item],
            isLast: isLast,
            isSettled: isSettled
        )
        .encode(to: &bytes)
        return bytes
    }

    private func write(_ stretches: [[UInt8]], finishing: Bool = false) throws {
        let writer = FilesCacheWriter(in: folder)
        for bytes in stretches { writer.append(bytes) }
        if finishing { try writer.finish() } else { try writer.flush() }
    }

    @Test func `what was read is known again as long as the file is the same`() throws {
        let one = try identity(1)
        try write([stretch(key("/a"), one, "abc"), stretch(key("/b/c"), one, "def")])
        let cache = FilesCache(in: folder)
        let found = try #require(cache.reading(of: key("/a"), one))
        #expect(found.isComplete)
        #expect(found.items == [.chunk(length: 3, digest: digest(Array("abc".utf8)))])
        #expect(cache.reading(of: key("/b/a"), one) == nil)
        #expect(cache.reading(of: key("/b/c"), try identity(2)) == nil, "another inode")
        #expect(cache.reading(of: key("/b/c"), try identity(1, size: 4)) == nil, "another size")
        #expect(cache.reading(of: key("/b/c"), one) != nil, "asked again at the same place")
        #expect(cache.reading(of: key("/z"), one) == nil)
    }

    @Test func `files are asked for in walk order: a folder's content before a name that goes on`() throws {
        let one = try identity(1)
        let keys = [key("/a"), key("/a/z"), key("/a!"), key("/b"), key("/a", source: 1)]
        #expect(keys.shuffled().sorted() == keys)
        try write(keys.map { stretch($0, one, "abc") })
        let cache = FilesCache(in: folder)
        for key in keys { #expect(cache.reading(of: key, one)?.isComplete == true) }
    }

    @Test func `a file that was read in part is known up to there`() throws {
        let one = try identity(1, size: 9)
        let file = key("/big")
        try write([
            stretch(file, one, "abc", isLast: false), stretch(file, one, "def", offset: 3, isLast: false),
            stretch(file, one, "ghi", offset: 6, isSettled: false),
        ])
        let found = try #require(FilesCache(in: folder).reading(of: file, one))
        #expect(found.length == 6, "what may have changed behind the read is read again")
        #expect(!found.isComplete)
        #expect(found.seen == 7)
    }

    @Test func `a new file's first seconds are read again, and the rest is known`() throws {
        let one = try identity(1, size: 12)
        let file = key("/new")
        try write([
            stretch(file, one, "abc", isLast: false, isSettled: false),
            stretch(file, one, "def", offset: 3, isLast: false),
            stretch(file, one, "ghi", offset: 6, isLast: false), stretch(file, one, "xyz", offset: 10, isLast: true),
        ])
        let found = try #require(FilesCache(in: folder).reading(of: file, one))
        #expect(found.offset == 3)
        #expect(found.length == 6, "behind a gap nothing is believed")
        #expect(!found.isComplete)
    }

    /// What a planner makes of a file of which it knows the chunks from one of them on.
    private func plan(_ path: String, knowing first: Int, of chunks: [PackedChunk]) throws -> [PackedChunk] {
        let status = try folder.status(path)
        let known = chunks[first...]
        let offset = chunks[..<first].reduce(0) { $0 + $1.length }
        var bytes: [UInt8] = []
        FileStretch(
            key: key("", source: 0),
            identity: FileIdentity(status),
            seen: 7,
            offset: Int64(offset),
            items: known.map { .chunk(length: $0.length, digest: $0.digest) },
            isLast: true,
            isSettled: true
        )
        .encode(to: &bytes)
        try write([bytes])
        return try plan(path, FilesCache(in: folder))
    }

    private func plan(_ path: String, _ cache: FilesCache?) throws -> [PackedChunk] {
        let source = Source(folder: folder, name: path, topLevelName: name(path), folderPath: "")
        let planner = SourcePlanner(walk: SourceWalk(sources: [source], options: WalkOptions()))
        planner.cache = cache
        let slab = try Slab(capacity: 4 << 20)
        var digester = Digester()
        var chunks: [PackedChunk] = []
        while let frame = planner.next(into: slab) {
            let packed = try frame.pack(into: slab, digester: &digester)
            #expect(packed.problems.isEmpty)
            chunks += packed.chunks
        }
        return chunks
    }

    @Test func `a large file is read up to what is known of it, and no farther`() throws {
        var generator = SeededGenerator(seed: 5)
        var bytes = generator.bytes(20 << 20)
        try TreeMaker.write(bytes, to: scratch.path + "/big")
        let chunks = try plan("big", nil)
        let first = 3
        try #require(chunks.count > first + 2)
        let again = try plan("big", knowing: first, of: chunks)
        #expect(again.map(\.digest) == chunks.map(\.digest))
        #expect(again.map(\.isInSlab) == chunks.indices.map { $0 < first })
        // The times may lie about the first seconds: a start that is cut otherwise takes the rest with it.
        bytes.replaceSubrange(0..<(9 << 20), with: generator.bytes(9 << 20))
        try TreeMaker.write(bytes, to: scratch.path + "/big")
        let changed = try plan("big", knowing: first, of: chunks)
        #expect(changed.map(\.digest) == (try plan("big", nil)).map(\.digest))
        #expect(changed.map(\.isInSlab).allSatisfy { $0 })
    }

    @Test func `the attempt that got farther is believed, and a finished one replaces them all`() throws {
        let one = try identity(1)
        try write([stretch(key("/a"), one, "abc"), stretch(key("/b"), one, "def")])
        try write([stretch(key("/a"), one, "abc")])
        let cache = FilesCache(in: folder)
        #expect(cache.reading(of: key("/a"), one)?.isComplete == true)
        #expect(cache.reading(of: key("/b"), one)?.isComplete == true)
        try write([stretch(key("/c"), one, "abc")], finishing: true)
        #expect(FilesCache.numbers(in: folder) == [3])
        #expect(FilesCache(in: folder).reading(of: key("/a"), one) == nil)
    }

    @Test func `a log that is cut anywhere tells less, and nothing wrong`() throws {
        let one = try identity(1)
        try write([stretch(key("/a"), one, "abc")])
        let path = scratch.path + "/" + FilesCache.name(1)
        let whole = try #require(FileManager.default.contents(atPath: path))
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            #expect(FilesCache(in: folder).reading(of: key("/a"), one) == nil)
        }
        for position in whole.indices {
            var damaged = whole
            damaged[position] ^= 0x10
            try damaged.write(to: URL(fileURLWithPath: path))
            #expect(FilesCache(in: folder).reading(of: key("/a"), one) == nil)
        }
    }

    @Test func `times settle when they are long gone or were seen before`() throws {
        let file = try identity(1)  // changed at 2,000
        #expect(!SettlingRule.isSettled(file, seen: 2_001, now: 2_001))
        #expect(!SettlingRule.isSettled(file, seen: 2_001, now: 2_003))
        // Whole seconds: between the last moment of one and the first one of the third behind it are little over two.
        #expect(!SettlingRule.isSettled(file, seen: 2_001, now: 2_004))
        #expect(SettlingRule.isSettled(file, seen: 2_001, now: 2_005))
        #expect(!SettlingRule.isSettled(file, seen: 2_600, now: 2_600))
        #expect(SettlingRule.isSettled(file, seen: 2_601, now: 2_601))
    }

    @Test func `the walk has seen files long before they are planned, as far as the first sight counts`() throws {
        let root = scratch.path + "/root"
        for number in 0..<600 { try TreeMaker.write("\(number)", to: "\(root)/\(1_000 + number)") }
        let planner = try planner(root)
        let slab = try Slab(capacity: 4 << 20)
        #expect(planner.next(into: slab) != nil)
        // Seen already, though it is not in the first frame: else it would not be there.
        #expect(unlink("\(root)/1599") == 0)
        let last = try #require(planner.next(into: slab)?.items.last)
        guard case .smallFile(let file) = last else {
            Issue.record("\(last)")
            return
        }
        #expect(file.entry.sourceName == "1599")
        #expect(file.seen == file.entry.seen)
    }
}
