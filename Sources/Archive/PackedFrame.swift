// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors

/// A frame ready to be compressed: raw bytes in the slab that it was packed into, records that say what they are.
package struct PackedFrame: Sendable {
    /// Records that list the frame's chunks and whatever was met on the way, in order.
    package var records = RecordBatches()
    /// Bytes at the start of the slab; 0 where nothing was read.
    package var rawBytes = 0
    /// In the order in which the records list them; those in the slab stand there one behind the other.
    package var chunks: [PackedChunk] = []
    package var problems: [SourceProblem] = []
    /// Numbers of files that other names are linked to and that could not be sent.
    package var missing: [UInt32] = []
    /// Files that are not as they were known: not announced yet, to be planned again.
    package var deferred: [WalkedEntry] = []
    /// What was read, for the files cache.
    package var stretches: [UInt8] = []
    package var fileCount = 0
    /// Bytes of the files that ended in this frame, holes included.
    package var holeBytes: Int64 = 0
}

extension PackedFrame {
    /// The slab is given away: what is wanted of it is read again, unless some of it cannot be.
    package mutating func letGoOfSlab() {
        guard chunks.allSatisfy(\.canBeReadAgain) else { return }
        for chunk in chunks.indices { chunks[chunk].isInSlab = false }
        rawBytes = 0
    }
}

/// One chunk of a packed frame.
package struct PackedChunk: Sendable {
    /// Bytes.
    package let length: Int
    package let digest: Digest
    /// Its bytes stand in the slab; otherwise they are read when they are wanted.
    package var isInSlab: Bool
    /// Where its bytes can be read again; nil where they cannot.
    package let origin: ChunkOrigin?

    package init(length: Int, digest: Digest, isInSlab: Bool, origin: ChunkOrigin?) {
        self.length = length
        self.digest = digest
        self.isInSlab = isInSlab
        self.origin = origin
    }
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
                if let known = file.known {
                    packed.append(file, known: known)
                } else {
                    bytesStillPlanned -= file.entry.plannedBytes
                    let room = slab.capacity - packed.rawBytes - bytesStillPlanned
                    try packed.append(file, room: room, in: slab, &digester)
                }
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
        var offset = segment.origin?.offset ?? 0
        for piece in segment.pieces {
            let item: ChunksRecord.Item
            switch piece {
            case .hole(let length):
                item = .hole(length: length)
                holeBytes += length
            case .known(let length, let digest): item = .chunk(length: length, digest: digest)
            case .data(let range):
                let digest = try slab.withBytes(range) { (bytes: RawSpan) throws(CodecError) in
                    try digester.digest(bytes)
                }
                item = .chunk(length: range.count, digest: digest)
                rawBytes = range.upperBound
            }
            if case .chunk(let length, let digest) = item {
                let origin = segment.origin.map { ChunkOrigin(file: $0.file, number: segment.number, offset: offset) }
                var isInSlab = false
                if case .data = piece { isInSlab = true }
                chunks.append(PackedChunk(length: length, digest: digest, isInSlab: isInSlab, origin: origin))
            }
            items.append(item)
            offset += item.length
        }
        if !items.isEmpty || segment.isLast {
            records.append(chunksOf: segment.number, items: items, isLast: segment.isLast)
            remember(segment, items)
        }
        if let reason = segment.retract { records.append(.retract(entry: segment.number, reason: reason)) }
        if segment.isLast { fileCount += 1 }
    }

    private mutating func remember(_ segment: FileSegment, _ items: [ChunksRecord.Item]) {
        guard let origin = segment.origin, let identity = origin.identity, case .source(let entry) = origin.file else {
            return
        }
        let stretch = FileStretch(
            key: entry.key,
            identity: identity,
            seen: origin.seen,
            offset: origin.offset,
            items: items,
            isLast: segment.isLast,
            isSettled: origin.isSettled
        )
        stretch.encode(to: &stretches)
    }

    /// Announces a file whose content is known, if it still is what it was.
    fileprivate mutating func append(_ file: SmallFile, known: ChunksRecord.Item) {
        let entry = file.entry
        do throws(SystemError) {
            let status = try entry.currentStatus()
            guard case .chunk(let length, let digest) = known, status.kind == .file,
                FileIdentity(status) == FileIdentity(entry.status)
            else {
                deferred.append(entry)
                return
            }
            records.append(.entry(entry.record(.file(size: known.length), status: status)))
            records.append(chunksOf: entry.number, items: [known], isLast: true)
            chunks.append(
                PackedChunk(
                    length: length,
                    digest: digest,
                    isInSlab: false,
                    origin: ChunkOrigin(file: .source(entry), number: entry.number, offset: 0)
                )
            )
            remember(file, known, FileIdentity(status), isSettled: true)
            fileCount += 1
        } catch {
            problems.append(SourceProblem(path: entry.path, error: error))
            if entry.status.linkCount > 1 { missing.append(entry.number) }
        }
    }

    fileprivate mutating func append(
        _ file: SmallFile,
        room: Int,
        in slab: Slab,
        _ digester: inout Digester
    ) throws(CodecError) {
        let entry = file.entry
        let now = Timestamp.now().seconds
        switch entry.readWhole(into: slab, at: rawBytes, room: room) {
        case .outgrown: deferred.append(entry)
        case .problem(let problem):
            problems.append(problem)
            if entry.status.linkCount > 1 { missing.append(entry.number) }
        case .bytes(let count, let status, let hasGrown):
            records.append(.entry(entry.record(.file(size: Int64(count)), status: status)))
            if count > 0 {
                let range = rawBytes..<(rawBytes + count)
                let digest = try slab.withBytes(range) { (bytes: RawSpan) throws(CodecError) in
                    try digester.digest(bytes)
                }
                let item = ChunksRecord.Item.chunk(length: count, digest: digest)
                records.append(chunksOf: entry.number, items: [item], isLast: true)
                chunks.append(
                    PackedChunk(
                        length: count,
                        digest: digest,
                        isInSlab: true,
                        origin: ChunkOrigin(file: .source(entry), number: entry.number, offset: 0)
                    )
                )
                rawBytes += count
                let identity = FileIdentity(status)
                let seen = identity == FileIdentity(entry.status) ? file.seen : now
                let isSettled = SettlingRule.isSettled(identity, seen: seen, now: now)
                remember(file, item, identity, seen: seen, isSettled: isSettled)
            }
            if hasGrown { problems.append(SourceProblem(path: entry.path, kind: .grew)) }
            fileCount += 1
        }
    }

    private mutating func remember(
        _ file: SmallFile,
        _ item: ChunksRecord.Item,
        _ identity: FileIdentity,
        seen: Int64? = nil,
        isSettled: Bool
    ) {
        let stretch = FileStretch(
            key: file.entry.key,
            identity: identity,
            seen: seen ?? file.seen,
            offset: 0,
            items: [item],
            isLast: true,
            isSettled: isSettled
        )
        stretch.encode(to: &stretches)
    }
}

/// What came of reading a small file.
private enum WholeRead {
    case bytes(count: Int, status: FileStatus, hasGrown: Bool)
    /// There is no room for what it is now; what the walk saw of its size says nothing of its bytes.
    case outgrown
    case problem(SourceProblem)
}

extension WalkedEntry {
    /// What the file is now, or was less than two seconds ago.
    ///
    /// A network file system tells what others have written only when a file is opened.
    fileprivate func currentStatus() throws(SystemError) -> FileStatus {
        if try folder.isShared() { return try open().status() }
        if Timestamp.now().seconds - seen <= 1 { return status }
        return try folder.open().status(sourceName, followingLink: followsLink)
    }

    /// Room that a frame keeps for the file: its size, or what a file that says it is empty may have.
    var plannedBytes: Int { status.size == 0 ? SourcePlanner.unsizedLimit : Int(status.size) }

    /// Reads the whole file, at most `room` bytes, into the slab from `start`.
    ///
    /// The size is fixed at open. A size of 0 is not believed: files of `/proc` say so and have bytes.
    fileprivate func readWhole(into slab: Slab, at start: Int, room: Int) -> WholeRead {
        do throws(SystemError) {
            for _ in 0..<SourcePlanner.readAttempts {
                let descriptor = try open()
                let before = try descriptor.status()
                guard before.kind == .file else { return .problem(SourceProblem(path: path, kind: .changed)) }
                let isUnsized = before.size == 0
                guard before.size <= Int64(room) else { return .outgrown }
                let want = isUnsized ? min(room, SourcePlanner.unsizedLimit) : Int(before.size)
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
                if after.isSameContent(as: before) { return .bytes(count: count, status: after, hasGrown: false) }
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
