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

    private let chunker: ContentChunker
    private let isCancelled = Atomic<Bool>(false)
    private var walk: SourceWalk
    private var stream: StreamSource?
    private var pending: WalkedEntry?
    private var large: (file: LargeFile, entry: WalkedEntry, attempt: Int)?
    /// A file that changed, to be announced again with the next frame.
    private var retry: (entry: WalkedEntry, attempt: Int)?
    /// First name of each inode that has several.
    private var linkedFiles: [FileIdentity: UInt32] = [:]
    /// Further names, sent at the end when it is known which first names arrived.
    private var links: [(entry: WalkedEntry, first: UInt32)] = []
    /// The walk has met everything: what is planned from now on was counted.
    package private(set) var isWalkFinished = false

    private struct FileIdentity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    package init(walk: SourceWalk, stream: StreamSource? = nil, chunker: ContentChunker = ContentChunker()) {
        self.walk = walk
        self.stream = stream
        self.chunker = chunker
    }

    /// The next frame, nil when the sources are exhausted.
    ///
    /// A segment's bytes are read into `slab`.
    package func next(into slab: Slab) -> PlannedFrame? {
        if isCancelled.load(ordering: .relaxed) { return nil }
        var frame = PlannedFrame()
        if let again = retry {
            retry = nil
            begin(again.entry, attempt: again.attempt, in: &frame, slab)
            return frame
        }
        if large != nil {
            nextSegment(of: &frame, slab)
            return frame
        }
        while let entry = takeEntry(&frame) {
            guard add(entry, to: &frame, slab) else { return frame }
            if frame.items.count >= Self.filesPerFrame || frame.plannedBytes == slab.capacity { return frame }
        }
        if frame.isEmpty, let segment = nextStreamSegment(into: slab) {
            frame.items.append(.segment(segment))
        }
        return frame.isEmpty ? nil : frame
    }

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
                let identity = FileIdentity(device: entry.status.device, inode: entry.status.inode)
                if let first = linkedFiles[identity] {
                    links.append((entry, first))
                    return true
                }
                linkedFiles[identity] = entry.number
            }
            let isSparse = entry.status.allocatedBlocks * 512 < entry.status.size && entry.status.size > 65_536
            if entry.status.size > Int64(ArchiveLimits.chunkBytes) || isSparse {
                // A segment fills the slab from its start: it goes alone.
                guard frame.isEmpty else {
                    pending = entry
                    return false
                }
                begin(entry, attempt: 1, in: &frame, slab)
                return false
            }
            guard frame.plannedBytes + entry.plannedBytes <= slab.capacity else {
                pending = entry
                return false
            }
            frame.plannedBytes += entry.plannedBytes
            frame.items.append(.smallFile(entry))
        }
        return true
    }

    /// Hard links to be sent behind everything else, once it is known which files are `missing`.
    ///
    /// A link whose first name could not be sent is reported like it.
    package func finish(missing: Set<UInt32>) -> PackedFrame {
        var packed = PackedFrame()
        for (entry, first) in links {
            if missing.contains(first) {
                packed.problems.append(SourceProblem(path: entry.path, kind: .changed))
            } else {
                packed.records.append(.entry(entry.record(.hardLink(to: first), number: walk.makeNumber())))
                packed.fileCount += 1
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
        while !isWalkFinished {
            switch walk.next() {
            case .entry(let entry): return entry
            case .problem(let problem): frame.items.append(.problem(problem))
            case nil: isWalkFinished = true
            }
        }
        return nil
    }

    private func addSymlink(_ entry: WalkedEntry, to frame: inout PlannedFrame) {
        do throws(SystemError) {
            let target = try entry.folder.readLink(entry.sourceName)
            guard SymlinkTarget.stays(target, inTreeAtDepth: entry.depth - 1) else {
                frame.items.append(.problem(SourceProblem(path: entry.path, kind: .linkLeavesTree)))
                return
            }
            frame.items.append(.entry(entry.record(.symlink(target: target))))
        } catch {
            frame.items.append(.problem(SourceProblem(path: entry.path, error: error)))
        }
    }

    private func begin(_ entry: WalkedEntry, attempt: Int, in frame: inout PlannedFrame, _ slab: Slab) {
        do throws(SystemError) {
            let number = attempt == 1 ? entry.number : walk.makeNumber()
            if entry.status.linkCount > 1 {
                linkedFiles[FileIdentity(device: entry.status.device, inode: entry.status.inode)] = number
            }
            large = (try LargeFile(entry, number: number, chunker: chunker), entry, attempt)
            nextSegment(of: &frame, slab)
        } catch {
            large = nil
            if entry.status.linkCount > 1 {
                linkedFiles[FileIdentity(device: entry.status.device, inode: entry.status.inode)] = nil
            }
            frame.items.append(.problem(SourceProblem(path: entry.path, error: error)))
        }
    }

    private func nextSegment(of frame: inout PlannedFrame, _ slab: Slab) {
        guard let current = large else { return }
        var segment = current.file.nextSegment(into: slab)
        if current.file.isFinished {
            large = nil
            if current.file.hasChanged, current.attempt == Self.readAttempts {
                segment.problem = SourceProblem(path: current.entry.path, kind: .changed)
            }
            if segment.retract != nil, current.entry.status.linkCount > 1 {
                let status = current.entry.status
                linkedFiles[FileIdentity(device: status.device, inode: status.inode)] = nil
            }
        }
        frame.items.append(.segment(segment))
        if current.file.hasChanged, current.attempt < Self.readAttempts {
            retry = (current.entry, current.attempt + 1)
        }
    }
}
