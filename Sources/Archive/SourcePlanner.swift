// SPDX-License-Identifier: MIT

package import Descriptors
private import Synchronization
private import SystemPackage

/// Turns a walk into frames to be packed: neighbouring small files together, longer files segment by segment.
///
/// One owner, called from one thread at a time; `next` blocks on the file system.
// Unchecked: the sender calls it from its serial pool alone, one call after the other.
package final class SourcePlanner: @unchecked Sendable {
    /// Times that a file is read before it counts as "changed".
    static let readAttempts = 3
    /// Bytes that a file which says its size is 0 may have.
    static let unsizedLimit = 64 << 10
    /// Small files in one frame: keeps records and open calls of a frame bounded where files are tiny.
    static let filesPerFrame = 512
    /// Folders that the small files of one frame hold open.
    static let foldersPerFrame = 64
    /// Entries that the walk is ahead of the plan at most, some 600 bytes each.
    static let entriesAhead = 16 << 10
    /// Steps of the walk for each entry that is planned: the first frame does not wait for long while it gets ahead.
    private static let stepsPerEntry = 4

    /// What earlier attempts have read; set before the first `next`, nil where everything is to be read.
    package var cache: FilesCache?
    private let chunker: ContentChunker
    private let isCancelled = Atomic<Bool>(false)
    private var walk: SourceWalk
    private let stream: StreamSource?
    private var pending: WalkedEntry?
    /// What the walk has met and nobody has planned: it runs ahead by some seconds, so that what is read was seen as it
    /// is well before that, and may be believed later (`SettlingRule`).
    private var ahead: ArraySlice<SourceWalk.Step> = []
    private var large: (file: LargeFile, entry: WalkedEntry)?
    /// Files that changed, to be announced again.
    private let requeued = Mutex<[WalkedEntry]>([])
    /// First name of each inode that has several.
    private var linkedFiles: [Inode: UInt32] = [:]
    /// Further names, sent at the end when it is known which first names arrived.
    private var links: [(entry: WalkedEntry, inode: Inode)] = []
    /// The walk has met everything.
    private var isWalkFinished = false

    private struct Inode: Hashable {
        let device: UInt64
        let inode: UInt64

        init(_ status: FileStatus) {
            device = status.device
            inode = status.inode
        }
    }

    package init(walk: SourceWalk, stream: StreamSource? = nil, chunker: ContentChunker = ContentChunker()) {
        self.walk = walk
        self.stream = stream
        self.chunker = chunker
    }

    /// Whether `next` may be asked: standard input waits while too much of it is not durable; from any thread.
    package var hasRoom: Bool { stream?.hasRoom ?? true }

    /// The next frame, nil when the sources are exhausted.
    ///
    /// A segment's bytes are read into `slab`.
    package func next(into slab: Slab) -> PlannedFrame? {
        if isCancelled.load(ordering: .relaxed) { return nil }
        var frame = PlannedFrame()
        if large != nil {
            nextSegment(of: &frame, slab)
            return frame
        }
        while let entry = takeEntry(&frame) {
            guard add(entry, to: &frame, slab) else { return frame }
            if frame.items.count >= Self.filesPerFrame || frame.plannedBytes == slab.capacity
                || frame.folders.count >= Self.foldersPerFrame
            {
                return frame
            }
        }
        // Its number follows those that the walk has given, so it comes behind everything that was met.
        if frame.isEmpty, let entry = requeued.withLock({ $0.popLast() }) {
            addAgain(entry, to: &frame, slab)
            return frame
        }
        if frame.isEmpty, let segment = nextStreamSegment(into: slab) {
            frame.items.append(.segment(segment))
        }
        return frame.isEmpty ? nil : frame
    }

    /// Plans a file once more that is not what it was when it was announced or known; from any thread.
    package func requeue(_ entry: WalkedEntry) {
        requeued.withLock { $0.append(entry) }
    }

    /// Files wait to be announced again.
    package var hasRequeued: Bool { requeued.withLock { !$0.isEmpty } }

    /// Ends the plan early, from any thread: `next` returns nil soon, also where it waits for standard input.
    package func cancel() {
        isCancelled.store(true, ordering: .relaxed)
    }

    /// Adds one entry; false where the frame is full.
    private func add(_ entry: WalkedEntry, to frame: inout PlannedFrame, _ slab: Slab) -> Bool {
        switch entry.status.kind {
        case .directory: frame.items.append(.entry(entry.record(.folder)))
        case .symlink: addSymlink(entry, to: &frame)
        default:
            if entry.status.linkCount > 1 {
                let inode = Inode(entry.status)
                // One that did not fit the last frame comes again, and is not a link to itself.
                if let first = linkedFiles[inode], first != entry.number {
                    links.append((entry, inode))
                    return true
                }
                linkedFiles[inode] = entry.number
            }
            guard entry.isReadWhole else {
                // A segment fills the slab from its start: it goes alone.
                guard frame.isEmpty else {
                    pending = entry
                    return false
                }
                begin(entry, in: &frame, slab)
                return false
            }
            return add(smallFile: entry, reading: reading(of: entry), to: &frame, slab)
        }
        return true
    }

    /// Adds a file that is read whole; false where it does not fit any more.
    private func add(
        smallFile entry: WalkedEntry,
        reading: FileReading?,
        to frame: inout PlannedFrame,
        _ slab: Slab
    ) -> Bool {
        let known = reading.flatMap { $0.isComplete && $0.offset == 0 && $0.items.count == 1 ? $0.items.first : nil }
        let bytes = known == nil ? entry.plannedBytes : 0
        guard frame.plannedBytes + bytes <= slab.capacity else {
            pending = entry
            return false
        }
        frame.plannedBytes += bytes
        if frame.lastFolder !== entry.folder {
            frame.lastFolder = entry.folder
            // One that cannot be opened is told of when its files are.
            if let folder = try? entry.folder.open() { frame.folders.append(folder) }
        }
        let seen = reading?.seen ?? entry.seen
        frame.items.append(.smallFile(SmallFile(entry: entry, known: known, seen: seen)))
        return true
    }

    /// What may be believed of the file as the walk saw it.
    private func reading(of entry: WalkedEntry) -> FileReading? {
        cache?.reading(of: entry.key, FileIdentity(entry.status))
    }

    /// Announces a file once more, as it is now.
    private func addAgain(_ entry: WalkedEntry, to frame: inout PlannedFrame, _ slab: Slab) {
        if entry.status.linkCount > 1 { linkedFiles[Inode(entry.status)] = nil }
        do throws(SystemError) {
            let status = try entry.folder.open().status(entry.sourceName, followingLink: entry.followsLink)
            guard entry.attempt < Self.readAttempts, status.kind == .file else {
                frame.items.append(.problem(SourceProblem(path: entry.path, kind: .changed)))
                return
            }
            let again = entry.again(number: walk.makeNumber(), status: status)
            if status.linkCount > 1 { linkedFiles[Inode(status)] = again.number }
            if again.isReadWhole {
                _ = add(smallFile: again, reading: nil, to: &frame, slab)
            } else {
                begin(again, in: &frame, slab)
            }
        } catch {
            frame.items.append(.problem(SourceProblem(path: entry.path, error: error)))
        }
    }

    /// Hard links to be sent behind everything else, once it is known which files are `missing`.
    ///
    /// A link whose first name could not be sent is reported like it.
    package func finish(missing: Set<UInt32>) -> PackedFrame {
        var packed = PackedFrame()
        for (entry, inode) in links {
            if let first = linkedFiles[inode], !missing.contains(first) {
                packed.records.append(.entry(entry.record(.hardLink(to: first), number: walk.makeNumber())))
                packed.fileCount += 1
            } else {
                packed.problems.append(SourceProblem(path: entry.path, kind: .changed))
            }
        }
        return packed
    }

    private func nextStreamSegment(into slab: Slab) -> FileSegment? {
        stream?.nextSegment(into: slab, numbers: &walk) { isCancelled.load(ordering: .relaxed) }
    }

    private func takeEntry(_ frame: inout PlannedFrame) -> WalkedEntry? {
        if let entry = pending {
            pending = nil
            return entry
        }
        lookAhead()
        while let step = ahead.popFirst() {
            switch step {
            case .entry(let entry): return entry
            case .problem(let problem): frame.items.append(.problem(problem))
            }
            lookAhead()
        }
        return nil
    }

    /// Lets the walk go on while it is not far enough ahead.
    private func lookAhead() {
        let now = Timestamp.now().seconds
        for _ in 0..<Self.stepsPerEntry where !isWalkFinished && ahead.count < Self.entriesAhead {
            if case .entry(let entry) = ahead.first, SettlingRule.isEarlier(entry.seen, than: now) { return }
            if let step = walk.next() { ahead.append(step) } else { isWalkFinished = true }
        }
    }

    private func addSymlink(_ entry: WalkedEntry, to frame: inout PlannedFrame) {
        do throws(SystemError) {
            let target = try entry.folder.open().readLink(entry.sourceName)
            guard SymlinkTarget.stays(target, inTreeAtDepth: entry.depth - 1) else {
                frame.items.append(.problem(SourceProblem(path: entry.path, kind: .linkLeavesTree)))
                return
            }
            frame.items.append(.entry(entry.record(.symlink(target: target))))
        } catch {
            frame.items.append(.problem(SourceProblem(path: entry.path, error: error)))
        }
    }

    private func begin(_ entry: WalkedEntry, in frame: inout PlannedFrame, _ slab: Slab) {
        do throws(SystemError) {
            let known = entry.attempt == 1 ? reading(of: entry) : nil
            large = (try LargeFile(entry, reading: known, chunker: chunker), entry)
            nextSegment(of: &frame, slab)
        } catch {
            large = nil
            forget(entry)
            frame.items.append(.problem(SourceProblem(path: entry.path, error: error)))
        }
    }

    private func nextSegment(of frame: inout PlannedFrame, _ slab: Slab) {
        guard let current = large else { return }
        var segment = current.file.nextSegment(into: slab)
        if current.file.isFinished {
            large = nil
            if current.file.hasChanged {
                if current.entry.attempt < Self.readAttempts {
                    requeue(current.entry)
                } else {
                    segment.problem = SourceProblem(path: current.entry.path, kind: .changed)
                }
            }
            if segment.retract != nil { forget(current.entry) }
        }
        frame.items.append(.segment(segment))
    }

    /// Names that are linked to the file find no first name.
    private func forget(_ entry: WalkedEntry) {
        if entry.status.linkCount > 1 { linkedFiles[Inode(entry.status)] = nil }
    }
}

extension WalkedEntry {
    /// The file is one chunk: it is read and hashed when its frame is packed.
    fileprivate var isReadWhole: Bool {
        let isSparse = status.allocatedBlocks * 512 < status.size && status.size > 65_536
        return status.size <= Int64(ArchiveLimits.chunkBytes) && !isSparse
    }
}
