// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import TestSupport
import Testing

/// A source that was planned and packed to its end, and put together again from records and frames.
struct PackedSource {
    var records: [Record] = [header]
    /// Raw bytes and chunks of each frame that has any.
    var frames: [(bytes: Int, chunks: Int)] = []
    var problems: [SourceProblem] = []
    /// Content of each file by path, holes as zeros.
    var files: [String: [UInt8]] = [:]
    /// Paths of all entries that stand, in the order of their records.
    var paths: [String] = []
    var fileCount = 0

    /// Reads everything that the planner has.
    ///
    /// - Parameters:
    ///   - planner: what to read.
    ///   - beforePacking: called between planning and packing of each frame, with its number.
    /// - Throws: what packing, decoding or `beforePacking` throws.
    init(_ planner: SourcePlanner, beforePacking: (Int) throws -> Void = { _ in }) throws {
        let slab = try Slab(capacity: 4 << 20)
        var digester = Digester()
        var raw: [[UInt8]] = []
        var missing: Set<UInt32> = []
        var number = 0
        while let planned = planner.next(into: slab) {
            try beforePacking(number)
            number += 1
            let packed = try planned.pack(into: slab, digester: &digester)
            try take(packed)
            for entry in packed.deferred { planner.requeue(entry) }
            missing.formUnion(packed.missing)
            if packed.rawBytes > 0 {
                #expect(packed.chunks.reduce(0) { $0 + $1.length } == packed.rawBytes)
                frames.append((packed.rawBytes, packed.chunks.count))
                raw.append(slab.withBytes(0..<packed.rawBytes) { $0.copy })
            } else {
                #expect(packed.chunks.isEmpty)
            }
        }
        try take(planner.finish(missing: missing))
        try assemble(raw.flatMap { $0 })
    }

    private mutating func take(_ packed: PackedFrame) throws {
        for batch in packed.records.batches {
            #expect(batch.bytes.count <= ArchiveLimits.recordBytes)
            let some = try ArchiveTests.records(in: batch.bytes)
            #expect(some.count == batch.recordCount)
            records += some
        }
        problems += packed.problems
        fileCount += packed.fileCount
    }

    /// Reads the records as a receiver does, and takes each chunk's bytes in the order in which they were packed.
    private mutating func assemble(_ raw: [UInt8]) throws {
        var index = ArchiveIndex()
        var contents: [Int: [UInt8]] = [:]
        var offset = 0
        for record in records {
            _ = try index.apply(record)
            guard case .chunks(let list) = record, let entry = index.index(ofNumber: list.entry) else { continue }
            for item in list.items {
                switch item {
                case .hole(let length): contents[entry, default: []] += [UInt8](repeating: 0, count: Int(length))
                case .chunk(let length, let expected):
                    let bytes = Array(raw[offset..<(offset + length)])
                    offset += length
                    #expect(digest(bytes) == expected)
                    contents[entry, default: []] += bytes
                }
            }
        }
        #expect(offset == raw.count)
        #expect(Int(index.listedChunks) == frames.reduce(0) { $0 + $1.chunks })
        for entry in index.entries.indices where !index.entries[entry].isVoid {
            let path = index.path(of: entry)
            paths.append(path)
            guard index.entries[entry].kind == .file else { continue }
            files[path] = contents[entry] ?? []
            #expect(index.entries[entry].size == Int64(files[path]?.count ?? 0))
        }
    }

    /// The problems as lines.
    var complaints: [String] { problems.map { "\($0.path): \($0.kind)" } }
}

/// A source named as the user names it: a path and its last name.
func source(_ path: String) throws -> Source {
    let parts = path.split(separator: "/").map(String.init)
    let last = parts.last ?? ""
    return Source(
        folder: try Directory.open("/" + parts.dropLast().joined(separator: "/")),
        name: last,
        topLevelName: name(last),
        folderPath: ""
    )
}

func planner(_ paths: String..., options: WalkOptions = WalkOptions()) throws -> SourcePlanner {
    SourcePlanner(walk: SourceWalk(sources: try paths.map(source), options: options))
}
