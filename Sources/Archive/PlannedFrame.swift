// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors

/// What one frame shall hold, decided by `SourcePlanner`; `pack` reads, hashes and describes it.
///
/// Planning is serial and cheap, packing is the work and runs on any thread: a planned frame refers to nothing that
/// another one changes. Frames are numbered and emitted in the order in which they were planned.
package struct PlannedFrame: Sendable {
    enum Item: Sendable {
        /// An entry without bytes.
        case entry(EntryRecord)
        /// A file that is read in one piece when the frame is packed.
        case smallFile(WalkedEntry)
        /// A piece of a longer file, whose bytes stand in the slab already.
        case segment(FileSegment)
        case problem(SourceProblem)
    }

    var items: [Item] = []
    /// Bytes of the small files as the walk saw them.
    var plannedBytes = 0

    var isEmpty: Bool { items.isEmpty }
}

/// A piece of one file that was read and cut already.
struct FileSegment: Sendable {
    /// The file's entry, with its first segment.
    var entry: EntryRecord?
    var number: UInt32
    var pieces: [Piece] = []
    var isLast = false
    /// Set where the file is taken back instead.
    var retract: RetractReason?
    var problem: SourceProblem?

    enum Piece: Sendable {
        /// Bytes of the slab.
        case data(Range<Int>)
        case hole(Int64)
    }
}

/// A frame ready to be compressed: its raw bytes stand in the slab that it was packed into.
package struct PackedFrame: Sendable {
    /// Records that list the frame's chunks and whatever was met on the way, in order.
    package var records = RecordBatches()
    /// Bytes at the start of the slab; 0 where there is nothing but records.
    package var rawBytes = 0
    /// Length of each chunk, in the order in which they stand in the slab.
    package var chunkLengths: [Int] = []
    package var problems: [SourceProblem] = []
    /// Numbers of files that other names are linked to and that could not be sent.
    package var missing: [UInt32] = []
    package var fileCount = 0
    /// Bytes of the files that ended in this frame, holes included.
    package var holeBytes: Int64 = 0
}

extension PlannedFrame {
    /// Reads small files into `slab`, hashes every chunk and writes the records.
    ///
    /// A file that changes under the read is read again, twice at most; then it is reported and left out.
    package func pack(into slab: Slab, digester: inout Digester) throws(CodecError) -> PackedFrame {
        var packed = PackedFrame()
        var bytesStillPlanned = plannedBytes
        for item in items {
            switch item {
            case .entry(let record): packed.records.append(.entry(record))
            case .problem(let problem): packed.problems.append(problem)
            case .segment(let segment): try packed.append(segment, in: slab, &digester)
            case .smallFile(let file):
                bytesStillPlanned -= file.plannedBytes
                let room = slab.capacity - packed.rawBytes - bytesStillPlanned
                try packed.append(file, room: room, in: slab, &digester)
            }
        }
        return packed
    }
}

extension PackedFrame {
    fileprivate mutating func append(
        _ segment: FileSegment,
        in slab: Slab,
        _ digester: inout Digester
    ) throws(CodecError) {
        if let entry = segment.entry { records.append(.entry(entry)) }
        if let problem = segment.problem { problems.append(problem) }
        var items: [ChunksRecord.Item] = []
        for piece in segment.pieces {
            switch piece {
            case .hole(let length):
                items.append(.hole(length: length))
                holeBytes += length
            case .data(let range):
                let digest = try slab.withBytes(range) { (bytes: RawSpan) throws(CodecError) in
                    try digester.digest(bytes)
                }
                items.append(.chunk(length: range.count, digest: digest))
                chunkLengths.append(range.count)
                rawBytes = range.upperBound
            }
        }
        if !items.isEmpty || segment.isLast {
            records.append(chunksOf: segment.number, items: items, isLast: segment.isLast)
        }
        if let reason = segment.retract { records.append(.retract(entry: segment.number, reason: reason)) }
        if segment.isLast { fileCount += 1 }
    }

    fileprivate mutating func append(
        _ file: WalkedEntry,
        room: Int,
        in slab: Slab,
        _ digester: inout Digester
    ) throws(CodecError) {
        switch file.readWhole(into: slab, at: rawBytes, room: room) {
        case .problem(let problem):
            problems.append(problem)
            if file.status.linkCount > 1 { missing.append(file.number) }
        case .bytes(let count, let status, let hasGrown):
            records.append(.entry(file.record(.file(size: Int64(count)), status: status)))
            if count > 0 {
                let range = rawBytes..<(rawBytes + count)
                let digest = try slab.withBytes(range) { (bytes: RawSpan) throws(CodecError) in
                    try digester.digest(bytes)
                }
                records.append(chunksOf: file.number, items: [.chunk(length: count, digest: digest)], isLast: true)
                chunkLengths.append(count)
                rawBytes += count
            }
            if hasGrown { problems.append(SourceProblem(path: file.path, kind: .grew)) }
            fileCount += 1
        }
    }
}

/// What came of reading a small file.
private enum WholeRead {
    case bytes(count: Int, status: FileStatus, hasGrown: Bool)
    case problem(SourceProblem)
}

extension WalkedEntry {
    /// Room that a frame keeps for the file: its size, or what a file that says it is empty may have.
    var plannedBytes: Int { status.size == 0 ? SourcePlanner.unsizedLimit : Int(status.size) }

    /// Reads the whole file, at most `room` bytes, into the slab from `start`.
    ///
    /// The size is fixed at open where it fits, else what the walk saw. A size of 0 is not believed: files of `/proc`
    /// say so and have bytes.
    fileprivate func readWhole(into slab: Slab, at start: Int, room: Int) -> WholeRead {
        do throws(SystemError) {
            for _ in 0..<SourcePlanner.readAttempts {
                let descriptor = try folder.openFile(sourceName, followingLink: followsLink)
                let before = try descriptor.status()
                guard before.kind == .file else { return .problem(SourceProblem(path: path, kind: .changed)) }
                let isUnsized = before.size == 0
                let fits = before.size <= Int64(room)
                let want =
                    isUnsized ? min(room, SourcePlanner.unsizedLimit) : fits ? Int(before.size) : Int(status.size)
                var count = 0
                if want > 0 {
                    count = try slab.withMutableBytes(start..<(start + want)) {
                        (span: inout MutableRawSpan) throws(SystemError) in
                        try descriptor.read(into: &span, at: 0)
                    }
                }
                let after = try descriptor.status()
                if isUnsized {
                    if count == want, want > 0 { return .problem(SourceProblem(path: path, kind: .unsizedTooLong)) }
                    if after == before || after.size == 0 {
                        return .bytes(count: count, status: after, hasGrown: false)
                    }
                    continue
                }
                guard count == want else { continue }
                if after.isSameContent(as: before) { return .bytes(count: count, status: after, hasGrown: !fits) }
                if after.inode == before.inode, after.size > before.size {
                    return .bytes(count: count, status: before, hasGrown: true)
                }
            }
            return .problem(SourceProblem(path: path, kind: .changed))
        } catch {
            return .problem(SourceProblem(path: path, error: error))
        }
    }
}

extension FileStatus {
    /// True where nothing that a write changes has changed: inode, size, mtime, ctime.
    func isSameContent(as other: FileStatus) -> Bool {
        inode == other.inode && size == other.size && modified == other.modified && changed == other.changed
    }
}
