// SPDX-License-Identifier: MIT

import Descriptors
private import SystemPackage

/// Reads one file segment by segment: finds its holes, cuts its data by content, and notices when it changes.
///
/// Serial, since a cut depends on the one before; hashing and compressing what it found is not its work.
final class LargeFile {
    private let entry: WalkedEntry
    private let descriptor: OwnedDescriptor
    private let opened: FileStatus
    private let isSparse: Bool
    private let chunker: ContentChunker
    private var position: Int64 = 0
    /// The run of data around `position`.
    private var run: Range<Int64> = 0..<0
    private var isFirst = true
    /// What is known of the file and not announced yet.
    private var known: ArraySlice<ChunksRecord.Item> = []
    /// Where that begins: what stands before is read and cut, and has to be cut there, too.
    private let knownOffset: Int64
    private let seen: Int64
    private(set) var isFinished = false
    /// The file changed and was taken back; it may be opened anew.
    private(set) var hasChanged = false

    /// Opens the file; of what `reading` says of it as it is now nothing is read again.
    init(_ entry: WalkedEntry, reading: FileReading?, chunker: ContentChunker) throws(SystemError) {
        self.entry = entry
        self.chunker = chunker
        descriptor = try entry.open()
        opened = try descriptor.status()
        guard opened.kind == .file else {
            throw SystemError(errno: .noSuchFileOrDirectory, call: "open", name: entry.sourceName)
        }
        isSparse = opened.allocatedBlocks * 512 < opened.size
        let reading = reading?.identity == FileIdentity(opened) ? reading : nil
        known = reading?.items[...] ?? []
        knownOffset = reading?.offset ?? 0
        let isAsWalked = FileIdentity(entry.status) == FileIdentity(opened)
        seen = reading?.seen ?? (isAsWalked ? entry.seen : Timestamp.now().seconds)
        descriptor.adviseSequential()
    }

    /// The size fixed at open, in bytes.
    var size: Int64 { opened.size }

    /// Reads the next segment into the slab: at most its capacity in bytes, whole chunks only.
    func nextSegment(into slab: Slab) -> FileSegment {
        let identity = FileIdentity(opened)
        let now = Timestamp.now().seconds
        let announces = !known.isEmpty && position >= knownOffset
        var segment = FileSegment(entry: nil, number: entry.number)
        segment.origin = FileSegment.Origin(
            file: .source(entry),
            offset: position,
            identity: identity,
            seen: seen,
            isSettled: announces || SettlingRule.isSettled(identity, seen: seen, now: now)
        )
        if isFirst {
            segment.entry = entry.record(.file(size: size), status: opened)
            isFirst = false
        }
        do throws(SystemError) {
            if announces {
                try announceKnown(&segment)
            } else {
                try fill(&segment, slab)
            }
            if position == size { try end(&segment) }
        } catch {
            segment.retract = error.errno == .noSuchFileOrDirectory ? .vanished : .unreadable
            segment.problem = SourceProblem(path: entry.path, error: error)
            isFinished = true
        }
        return segment
    }

    /// Passes over what is known, at most as much as one segment takes.
    private func announceKnown(_ segment: inout FileSegment) throws(SystemError) {
        while segment.pieces.count < ChunksRecord.itemsPerRecord / 2, let item = known.popFirst() {
            position += item.length
            switch item {
            case .chunk(let length, let digest): segment.pieces.append(.known(length: length, digest: digest))
            case .hole(let length):
                segment.pieces.append(.hole(length))
                run = position..<position
            }
        }
        guard known.isEmpty, position < size else { return }
        // The run goes on as it would have, so that its cuts stay where they were.
        run = run.lowerBound..<(isSparse ? max(position, try descriptor.nextHole(from: position) ?? size) : size)
    }

    private func fill(_ segment: inout FileSegment, _ slab: Slab) throws(SystemError) {
        var used = 0
        while position < size, segment.pieces.count < ChunksRecord.itemsPerRecord / 2 {
            if position >= run.upperBound {
                let next = isSparse ? min(try descriptor.nextData(from: position) ?? size, size) : position
                if next > position { segment.pieces.append(.hole(next - position)) }
                position = next
                if next == size || reachesKnown(position) { return }
                run = next..<(isSparse ? min(try descriptor.nextHole(from: next) ?? size, size) : size)
            }
            let isOneChunk = run.upperBound - run.lowerBound <= Int64(ArchiveLimits.chunkBytes)
            let want = Int(min(Int64(slab.capacity - used), run.upperBound - position))
            if isOneChunk, want < Int(run.upperBound - position) { return }
            let start = used
            let got = try slab.withMutableBytes(start..<(start + want)) {
                (span: inout MutableRawSpan) throws(SystemError) in
                try descriptor.read(into: &span, at: position)
            }
            guard got == want else {
                takeBack(&segment)
                return
            }
            let reachesEnd = position + Int64(got) == run.upperBound
            var cut = 0
            while cut < got {
                let length: Int? =
                    isOneChunk
                    ? got
                    : slab.withBytes((start + cut)..<(start + got)) { chunker.firstCut(in: $0, isLast: reachesEnd) }
                guard let length else { break }
                segment.pieces.append(.data((start + cut)..<(start + cut + length)))
                cut += length
                if reachesKnown(position + Int64(cut)) { break }
            }
            position += Int64(cut)
            used += cut
            // What lies behind the last cut is read again with the next segment, from the page cache.
            if cut < got || used == slab.capacity || reachesKnown(position) { return }
        }
    }

    /// True where the rest of the file, or some of it, is known from here on.
    ///
    /// A start of the file that is cut otherwise now is not what it was: then nothing is believed of the rest.
    private func reachesKnown(_ place: Int64) -> Bool {
        guard !known.isEmpty else { return false }
        if place > knownOffset { known = [] }
        return place == knownOffset
    }

    private func end(_ segment: inout FileSegment) throws(SystemError) {
        let now = try descriptor.status()
        if now.isSameContent(as: opened) {
            segment.isLast = true
        } else if now.inode == opened.inode, now.size > opened.size {
            segment.isLast = true
            segment.problem = SourceProblem(path: entry.path, kind: .grew)
        } else {
            takeBack(&segment)
            return
        }
        isFinished = true
    }

    private func takeBack(_ segment: inout FileSegment) {
        segment.retract = .changed
        hasChanged = true
        isFinished = true
    }
}
