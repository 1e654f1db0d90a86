// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors

/// Real files, packed into frames as a send packs them.
struct Sample {
    /// Raw bytes and chunk lengths of each frame.
    let frames: [(bytes: [UInt8], chunks: [Int])]
    /// Batches of records, beginning with the header.
    let batches: [[UInt8]]
    let fileCount: Int

    var byteCount: Int { frames.reduce(0) { $0 + $1.bytes.count } }

    /// Packs what stands at `path`, at most `limit` raw bytes of it.
    init(_ path: String, limit: Int) throws {
        let planner = try Self.planner(path)
        let slab = try Slab(capacity: ArchiveLimits.frameBytes)
        var digester = Digester()
        var header = RecordBatches()
        header.append(.header(.standard))
        var frames: [(bytes: [UInt8], chunks: [Int])] = []
        var batches = header.batches.map(\.bytes)
        var (files, total) = (0, 0)
        while total < limit, let planned = planner.next(into: slab) {
            let packed = try planned.pack(into: slab, digester: &digester)
            batches += packed.records.batches.map(\.bytes)
            files += packed.fileCount
            guard packed.rawBytes > 0 else { continue }
            total += packed.rawBytes
            let bytes = slab.withBytes(0..<packed.rawBytes) { span in
                unsafe span.withUnsafeBytes { unsafe Array($0) }
            }
            frames.append((bytes, packed.chunks.map(\.length)))
        }
        self.frames = frames
        self.batches = batches
        fileCount = files
    }

    /// A planner of one source.
    static func planner(_ path: String) throws -> SourcePlanner {
        let parts = path.split(separator: "/").map(String.init)
        let name = parts.last ?? ""
        let source = Source(
            folder: try Directory.open("/" + parts.dropLast().joined(separator: "/")),
            name: name,
            topLevelName: try EntryName(validating: name.utf8),
            folderPath: ""
        )
        return SourcePlanner(walk: SourceWalk(sources: [source], options: WalkOptions()))
    }
}
