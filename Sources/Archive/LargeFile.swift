// SPDX-License-Identifier: MIT

import Descriptors
private import SystemPackage

/// Reads one file segment by segment: finds its holes, cuts its data by content, and notices when it changes.
///
/// Serial, since a cut depends on the one before; hashing and compressing what it found is not its work.
final class LargeFile {
    private let entry: WalkedEntry
    private let number: UInt32
    private let descriptor: OwnedDescriptor
    private let opened: FileStatus
    private let isSparse: Bool
    private let chunker: ContentChunker
    private var position: Int64 = 0
    /// The run of data around `position`.
    private var run: Range<Int64> = 0..<0
    private var isFirst = true
    private(set) var isFinished = false
    /// The file changed and was taken back; it may be opened anew.
    private(set) var hasChanged = false

    init(_ entry: WalkedEntry, number: UInt32, chunker: ContentChunker) throws(SystemError) {
        self.entry = entry
        self.number = number
        self.chunker = chunker
        descriptor = try entry.folder.openFile(entry.sourceName, followingLink: entry.followsLink)
        opened = try descriptor.status()
        guard opened.kind == .file else {
            throw SystemError(errno: .noSuchFileOrDirectory, call: "open", name: entry.sourceName)
        }
        isSparse = opened.allocatedBlocks * 512 < opened.size
        descriptor.adviseSequential()
    }

    /// The size fixed at open, in bytes.
    var size: Int64 { opened.size }

    /// Reads the next segment into the slab: at most its capacity in bytes, whole chunks only.
    func nextSegment(into slab: Slab) -> FileSegment {
        var segment = FileSegment(entry: nil, number: number)
        if isFirst {
            segment.entry = entry.record(.file(size: size), status: opened, number: number)
            isFirst = false
        }
        do throws(SystemError) {
            try fill(&segment, slab)
            if position == size { try end(&segment) }
        } catch {
            segment.retract = error.errno == .noSuchFileOrDirectory ? .vanished : .unreadable
            segment.problem = SourceProblem(path: entry.path, error: error)
            isFinished = true
        }
        return segment
    }

    private func fill(_ segment: inout FileSegment, _ slab: Slab) throws(SystemError) {
        var used = 0
        while position < size, segment.pieces.count < ChunksRecord.itemsPerRecord / 2 {
            if position >= run.upperBound {
                let next = isSparse ? min(try descriptor.nextData(from: position) ?? size, size) : position
                if next > position { segment.pieces.append(.hole(next - position)) }
                position = next
                if next == size { return }
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
            }
            position += Int64(cut)
            used += cut
            // What lies behind the last cut is read again with the next segment, from the page cache.
            if cut < got || used == slab.capacity { return }
        }
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
