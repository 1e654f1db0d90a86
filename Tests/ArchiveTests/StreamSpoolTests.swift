// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Foundation
import Synchronization
import TestSupport
import Testing

/// Standard input that can be offered a second time.
struct StreamSpoolTests {
    private let scratch = ScratchFolder("spool")
    private let bytes: [UInt8]

    init() {
        var generator = SeededGenerator(seed: 77)
        bytes = generator.bytes(21 << 20)
    }

    /// What one planner made of the stream.
    private struct Planned {
        var chunks: [PackedChunk] = []
        /// Bytes of those that stood in the slab.
        var bytes: [UInt8] = []
        var isWhole = false
    }

    private func spool(
        slots: Int = 16,
        writable: Bool = true,
        failed: @escaping @Sendable (SystemError) -> Void = { _ in }
    ) throws -> StreamSpool {
        let folder = try Directory.open(scratch.path)
        let file = try folder.createFile("spool")
        return StreamSpool(in: writable ? file : try folder.openFile("spool"), slots: slots, failed: failed)
    }

    /// A stream of a regular file, which never makes anybody wait.
    private func stream(_ spool: StreamSpool) throws -> StreamSource {
        try TreeMaker.write(bytes, to: scratch.path + "/input")
        let input = try Directory.open(scratch.path).openFile("input")
        return StreamSource(reading: input, name: name("x"), spool: spool)
    }

    private func planner(_ stream: StreamSource) -> SourcePlanner {
        SourcePlanner(walk: SourceWalk(sources: [], options: WalkOptions()), stream: stream)
    }

    private func read(_ planner: SourcePlanner, segments: Int = .max) throws -> Planned {
        var planned = Planned()
        let slab = try Slab(capacity: 4 << 20)
        var digester = Digester()
        var left = segments
        while left > 0, planner.hasRoom {
            left -= 1
            guard let frame = planner.next(into: slab) else {
                planned.isWhole = true
                break
            }
            let packed = try frame.pack(into: slab, digester: &digester)
            planned.chunks += packed.chunks
            planned.bytes += slab.withBytes(0..<packed.rawBytes) { $0.copy }
            #expect(packed.problems.isEmpty)
        }
        return planned
    }

    @Test func `what is durable is offered by its digest, the rest with its bytes, and then the stream goes on`() throws
    {
        let stream = try stream(try spool())
        let first = try read(planner(stream), segments: 4)
        try #require(first.chunks.count > 3)
        #expect(first.bytes == Array(bytes.prefix(first.bytes.count)))
        // As they come off a real link: not in order.
        let durable = [0, 1, 3]
        for chunk in durable { first.chunks[chunk].letGo() }
        let isBack = stream.rewind()
        #expect(isBack)
        let second = try read(planner(stream))
        #expect(second.isWhole)
        #expect(second.chunks.reduce(0) { $0 + $1.length } == bytes.count)
        #expect(second.chunks.prefix(first.chunks.count).map(\.digest) == first.chunks.map(\.digest))
        for (index, chunk) in second.chunks.enumerated() { #expect(chunk.isInSlab != durable.contains(index)) }
        let missing = durable.reduce(0) { $0 + first.chunks[$1].length }
        #expect(second.bytes.count == bytes.count - missing)
        #expect(second.bytes.suffix(1 << 20) == bytes.suffix(1 << 20))
    }

    @Test func `the file never grows beyond its slots, and the stream waits until one is free`() throws {
        let stream = try stream(try spool(slots: 2))
        let planner = planner(stream)
        var seen = 0
        var waiting: [PackedChunk] = []
        while true {
            let planned = try read(planner)
            seen += planned.bytes.count
            waiting += planned.chunks
            if planned.isWhole { break }
            #expect(!planner.hasRoom)
            #expect(waiting.reduce(0) { $0 + $1.length } <= 8 << 20)
            let all = waiting.allSatisfy(\.canBeReadAgain)
            #expect(all)
            for chunk in waiting { chunk.letGo() }
            waiting = []
        }
        #expect(seen == bytes.count)
        let size = try FileManager.default.attributesOfItem(atPath: scratch.path + "/spool")[.size] as? Int
        #expect(try #require(size) <= 8 << 20)
    }

    @Test func `a lost chunk is read from the spool`() throws {
        let stream = try stream(try spool())
        let first = try read(planner(stream), segments: 2)
        let wanted = first.chunks.enumerated().map { ChunkFetch.Wanted(ordinal: UInt64($0), chunk: $1) }
        first.chunks[0].letGo()
        let slab = try Slab(capacity: 4 << 20)
        var digester = Digester()
        var fetched: [UInt8] = []
        for fetch in ChunkFetch.fetches(of: Array(wanted.dropFirst())) {
            let result = try fetch.read(into: slab, digester: &digester)
            #expect(result.lost.isEmpty)
            fetched += slab.withBytes(0..<result.rawBytes) { $0.copy }
        }
        #expect(fetched == Array(first.bytes.dropFirst(first.chunks[0].length)))
        let gone = try ChunkFetch.fetches(of: [wanted[0]])[0].read(into: slab, digester: &digester)
        #expect(gone.lost.count == 1)
        #expect(gone.lost.first?.entry == nil)
    }

    @Test func `one that cannot be written says so once, and the stream can be read to its end`() throws {
        let told = Mutex(0)
        let stream = try stream(try spool(writable: false) { _ in told.withLock { $0 += 1 } })
        let planner = planner(stream)
        let begun = try read(planner, segments: 2)
        let none = begun.chunks.allSatisfy { !$0.canBeReadAgain }
        #expect(none)
        let isBack = stream.rewind()
        #expect(!isBack)
        let rest = try read(planner)
        #expect(rest.isWhole)
        #expect(begun.bytes + rest.bytes == bytes)
        #expect(told.withLock { $0 } == 1)
    }
}
