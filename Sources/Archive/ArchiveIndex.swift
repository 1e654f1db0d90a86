// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors

/// What a reader knows of an archive from its record stream: the one place that checks what records say about
/// one another, and the one that turns ordinals into places in files.
///
/// A value without I/O. It hands out steps and targets; `Staging` carries them out. Entries are addressed by their
/// position in `entries` ("index"), since numbers have gaps.
package struct ArchiveIndex: Sendable {
    /// One entry, kept small: there may be two million.
    package struct Entry: Sendable {
        package let number: UInt32
        /// Index of the folder that holds it; −1 for a top-level name.
        package let parent: Int32
        package let name: EntryName
        package let kind: EntryRecord.Kind
        /// Names above it; 0 for a top-level name.
        package let depth: UInt8
        let pathBytes: UInt16
        let mode: UInt16
        let modified: Timestamp
        /// Bytes with holes; nil until the list of a stream has ended.
        package fileprivate(set) var size: Int64?
        /// Bytes that the chunk list has covered so far.
        fileprivate var listedBytes: Int64 = 0
        fileprivate var missingChunks: Int32 = 0
        fileprivate var listHasEnded = false
        fileprivate var listHasBegun = false
        /// Its chunks are dropped, and it gets no final name: taken back by the sender or refused here.
        package fileprivate(set) var isVoid = false
        /// An identical file that was delivered before stands at its final place: nothing is staged.
        package fileprivate(set) var isKept = false
        fileprivate var isRetracted = false
        /// Its file was made in staging, by a step or by its only chunk: what RETRACT removes.
        fileprivate var isStaged = false
        fileprivate var isLinkedTo = false
        /// Index of the entry before it in the same folder, and of the last one in this folder; −1 for none.
        fileprivate var previousSibling: Int32 = -1
        fileprivate var lastChild: Int32 = -1

        var isComplete: Bool { kind == .file && !isVoid && listHasEnded && missingChunks == 0 }
    }

    private struct ListedChunk {
        let entry: Int32
        let length: Int32
        let offset: Int64
        let digest: Digest
        let isWholeFile: Bool
    }

    package private(set) var entries: [Entry] = []
    /// Records applied so far, the header included.
    package private(set) var recordCount: UInt64 = 0
    /// Chunks listed so far: the next ordinal.
    package private(set) var listedChunks: UInt64 = 0
    /// Bytes of those chunks, of entries that were not void.
    package private(set) var listedBytes: UInt64 = 0
    /// Files that are not void and not complete yet.
    package private(set) var incompleteFiles = 0
    package private(set) var symlinkTargets: [Int: String] = [:]
    package private(set) var hardLinks: [Int: Int] = [:]
    private var awaited: [UInt64: ListedChunk] = [:]
    /// Chunks of frames that are being written.
    private var claimed: [UInt64: ListedChunk] = [:]
    /// Index of the last top-level entry; −1 for none.
    private var lastTop: Int32 = -1
    private var offerPrefix = FolderPrefix()
    /// Names of folders whose entries do not ascend, by the folder's index; in the others no name can come twice.
    private var unordered: [Int: Set<EntryName>] = [:]
    /// Folded names of each folder, by its index, where the file system takes such names for one.
    private var foldedNames: [Int: Set<String>]?
    private var hasHeader = false

    /// True once the stream has begun as it must.
    package var isBegun: Bool { hasHeader }

    /// With `foldsNames` two names of a folder that differ in case or normalisation alone count as one.
    package init(foldsNames: Bool = false) {
        foldedNames = foldsNames ? [:] : nil
    }

    /// Takes one record; returns what is to be done in staging before any frame that was listed behind it.
    package mutating func apply(_ record: Record) throws(FormatError) -> StagingStep? {
        recordCount += 1
        switch record {
        case .header:
            guard !hasHeader else { throw FormatError("a second header") }
            hasHeader = true
            return nil
        case .entry(let entry):
            guard hasHeader else { throw FormatError("the archive does not begin with a header") }
            return try add(entry)
        case .chunks(let chunks):
            return try list(chunks)
        case .retract(let number, _):
            return try retract(number)
        }
    }

    /// The chunks of a frame in payload order; their records must have come.
    ///
    /// Each is handed out once; asking again is the sender's fault. Chunks of void entries come with the role `drop`.
    package mutating func claim(_ runs: [ClosedRange<UInt64>]) throws(FormatError) -> [ChunkTarget] {
        var targets: [ChunkTarget] = []
        var rawBytes = 0
        for run in runs {
            for ordinal in run {
                guard let chunk = awaited.removeValue(forKey: ordinal) else { throw FormatError("a chunk comes twice") }
                claimed[ordinal] = chunk
                rawBytes += Int(chunk.length)
                targets.append(target(of: chunk))
            }
        }
        guard rawBytes <= ArchiveLimits.frameBytes else { throw FormatError("a frame is longer than 4 MiB") }
        return targets
    }

    /// Notes that nothing more is to be written of claimed chunks.
    package mutating func release(_ runs: [ClosedRange<UInt64>]) {
        for run in runs {
            for ordinal in run { claimed[ordinal] = nil }
        }
    }

    /// Takes back every claim of a frame that was not finished: its chunks are awaited again.
    package mutating func reclaim() {
        awaited.merge(claimed) { chunk, _ in chunk }
        claimed = [:]
    }

    /// Ordinals below `listedChunks` whose bytes are not wanted any more, ascending.
    package var settledChunks: [ClosedRange<UInt64>] {
        var ranges: [ClosedRange<UInt64>] = []
        var next: UInt64 = 0
        for missing in awaited.keys.sorted() + [listedChunks] {
            if missing > next { ranges.append(next...(missing - 1)) }
            next = missing + 1
        }
        return ranges
    }

    /// Notes that a target's bytes stand verified in staging.
    package mutating func complete(_ target: ChunkTarget) {
        guard !entries[target.entry].isVoid else { return }
        entries[target.entry].missingChunks -= 1
        entries[target.entry].isStaged = true
        if entries[target.entry].isComplete { incompleteFiles -= 1 }
    }

    /// Notes that no bytes of these chunks are needed: they stand in staging, or their file will be kept.
    package mutating func satisfy(_ ordinals: [ClosedRange<UInt64>]) {
        for range in ordinals {
            for ordinal in range {
                guard let chunk = awaited.removeValue(forKey: ordinal) else { continue }
                let entry = Int(chunk.entry)
                guard !entries[entry].isVoid else { continue }
                entries[entry].missingChunks -= 1
                if entries[entry].isComplete { incompleteFiles -= 1 }
            }
        }
    }

    /// Notes that a complete file is kept as it stands at its final place.
    package mutating func keep(_ index: Int) {
        entries[index].isKept = true
    }

    /// Voids an entry that this reader cannot or will not take; what is below it becomes void as it comes.
    package mutating func refuse(_ index: Int) {
        guard !entries[index].isVoid else { return }
        if entries[index].kind == .file, !entries[index].isComplete { incompleteFiles -= 1 }
        entries[index].isVoid = true
    }

    /// Index of the entry with that number.
    package func index(ofNumber number: UInt32) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].number == number ? low : nil
    }

    /// Where an entry of kind file stands in staging.
    package func place(of index: Int) -> FilePlace {
        let entry = entries[index]
        return FilePlace(
            folder: Int(entry.parent),
            name: entry.name,
            mode: UInt32(entry.mode),
            modified: entry.modified
        )
    }

    /// What a CHUNKS record offers, for `Recall` to answer; nil for a void entry.
    package mutating func offer(_ record: ChunksRecord) -> Offer? {
        guard let index = index(ofNumber: record.entry), !entries[index].isVoid else { return nil }
        let chunks = record.items.reduce(into: UInt64(0)) { count, item in
            if case .chunk = item { count += 1 }
        }
        let bytes = record.items.reduce(Int64(0)) { $0 + $1.length }
        let top = topLevel(of: index)
        var prefix = offerPrefix
        let folder = prefix.of(Int(entries[index].parent), in: self)
        offerPrefix = prefix
        return Offer(
            entry: index,
            top: top,
            topName: entries[top].name,
            isTopFolder: entries[top].kind == .folder,
            path: folder + entries[index].name.text,
            place: place(of: index),
            items: record.items,
            offset: entries[index].listedBytes - bytes,
            size: entries[index].size,
            isLast: record.isLast,
            firstOrdinal: listedChunks - chunks
        )
    }

    /// Index of the top-level entry above, or the entry's own.
    package func topLevel(of index: Int) -> Int {
        var cursor = index
        while entries[cursor].parent >= 0 { cursor = Int(entries[cursor].parent) }
        return cursor
    }

    /// The names from the top-level name down to the entry.
    package func path(of index: Int) -> String {
        var names: [String] = []
        var cursor = index
        while cursor >= 0 {
            names.append(entries[cursor].name.text)
            cursor = Int(entries[cursor].parent)
        }
        return names.reversed().joined(separator: "/")
    }

    // MARK: - Records

    private mutating func add(_ record: EntryRecord) throws(FormatError) -> StagingStep? {
        guard entries.count < ArchiveLimits.entries else { throw FormatError("more than 2,000,000 entries") }
        if let last = entries.last, record.number <= last.number { throw FormatError("entry numbers do not ascend") }
        var parent = -1
        var depth = 0
        var pathBytes = record.name.text.utf8.count
        var parentIsVoid = false
        if let number = record.parent {
            guard let index = index(ofNumber: number), entries[index].kind == .folder else {
                throw FormatError("the parent of an entry is not an earlier folder")
            }
            parent = index
            depth = Int(entries[index].depth) + 1
            pathBytes += Int(entries[index].pathBytes) + 1
            parentIsVoid = entries[index].isVoid
        }
        guard depth < ArchiveLimits.depth, pathBytes <= ArchiveLimits.pathBytes else {
            throw FormatError("a path is too deep or too long")
        }
        let kind: EntryRecord.Kind
        var size: Int64?
        var linkedEntry: Int?
        switch record.content {
        case .folder: kind = .folder
        case .file(let announced):
            kind = .file
            size = announced
        case .symlink: kind = .symlink
        case .hardLink(let number):
            kind = .hardLink
            guard let index = index(ofNumber: number), entries[index].kind == .file, !entries[index].isRetracted else {
                throw FormatError("a hard link to what is not an earlier file")
            }
            linkedEntry = index
            entries[index].isLinkedTo = true
        }
        let index = entries.count
        entries.append(
            Entry(
                number: record.number,
                parent: Int32(parent),
                name: record.name,
                kind: kind,
                depth: UInt8(depth),
                pathBytes: UInt16(pathBytes),
                mode: UInt16(record.mode),
                modified: record.modified,
                size: size
            )
        )
        if kind == .file {
            incompleteFiles += 1
            if size == 0 {
                entries[index].listHasEnded = true
                entries[index].isStaged = true
                incompleteFiles -= 1
            }
        }
        if let linkedEntry { hardLinks[index] = linkedEntry }
        let isTaken = link(index, parent)
        if parentIsVoid {
            refuse(index)
            return nil
        }
        if isTaken {
            refuse(index)
            return .report(entry: index, cause: .nameStands)
        }
        switch record.content {
        case .folder: return .makeFolder(entry: index, parent: parent, name: record.name)
        case .file(size: .some(0)): return .createFile(entry: index, place: place(of: index), size: 0)
        case .file, .hardLink: return nil
        case .symlink(let target):
            guard SymlinkTarget.stays(target, inTreeAtDepth: depth - 1) else {
                refuse(index)
                return .report(entry: index, cause: .linkLeavesTree)
            }
            symlinkTargets[index] = target
            return nil
        }
    }

    /// Chains an entry to those of its folder; true where one of its name stands there.
    private mutating func link(_ index: Int, _ parent: Int) -> Bool {
        let last = parent < 0 ? lastTop : entries[parent].lastChild
        entries[index].previousSibling = last
        if parent < 0 { lastTop = Int32(index) } else { entries[parent].lastChild = Int32(index) }
        let name = entries[index].name
        if foldedNames != nil { return foldedNames?[parent, default: []].insert(name.folded).inserted == false }
        if unordered[parent] == nil {
            guard last >= 0, !entries[Int(last)].name.text.utf8.lexicographicallyPrecedes(name.text.utf8) else {
                return false
            }
            var names: Set<EntryName> = []
            var cursor = Int(last)
            while cursor >= 0 {
                if !entries[cursor].isRetracted { names.insert(entries[cursor].name) }
                cursor = Int(entries[cursor].previousSibling)
            }
            unordered[parent] = names
        }
        return unordered[parent]?.insert(name).inserted == false
    }

    private mutating func list(_ record: ChunksRecord) throws(FormatError) -> StagingStep? {
        guard let index = index(ofNumber: record.entry), entries[index].kind == .file,
            !entries[index].isRetracted, !entries[index].listHasEnded
        else { throw FormatError("a chunk list for what has none") }
        var entry = entries[index]
        let isFirst = !entry.listHasBegun
        var isSingleChunk = false
        if isFirst, record.isLast, record.items.count == 1, case .chunk = record.items[0] { isSingleChunk = true }
        for item in record.items {
            let (end, overflow) = entry.listedBytes.addingReportingOverflow(item.length)
            guard !overflow, end <= entry.size ?? Int64.max else {
                throw FormatError("chunks beyond the end of a file")
            }
            if case .chunk(let length, let digest) = item {
                guard awaited.count < ArchiveLimits.listedChunks else {
                    throw FormatError("too many chunks are listed")
                }
                awaited[listedChunks] = ListedChunk(
                    entry: Int32(index),
                    length: Int32(length),
                    offset: entry.listedBytes,
                    digest: digest,
                    isWholeFile: isSingleChunk
                )
                listedChunks += 1
                if !entry.isVoid { listedBytes += UInt64(length) }
                entry.missingChunks += 1
            }
            entry.listedBytes = end
        }
        entry.listHasBegun = true
        if record.isLast {
            guard entry.size == nil || entry.size == entry.listedBytes else {
                throw FormatError("a chunk list that is shorter than its file")
            }
            entry.size = entry.listedBytes
            entry.listHasEnded = true
        }
        entries[index] = entry
        if entry.isComplete { incompleteFiles -= 1 }
        if entry.isVoid || isSingleChunk { return nil }
        if isFirst { entries[index].isStaged = true }
        if isFirst { return .createFile(entry: index, place: place(of: index), size: entry.size ?? entry.listedBytes) }
        return record.isLast ? .setSize(entry: index, place: place(of: index), size: entry.listedBytes) : nil
    }

    private mutating func retract(_ number: UInt32) throws(FormatError) -> StagingStep? {
        guard let index = index(ofNumber: number), entries[index].kind == .file, !entries[index].isRetracted,
            !entries[index].isLinkedTo
        else { throw FormatError("what is taken back is not a file that stands") }
        let wasVoid = entries[index].isVoid
        refuse(index)
        entries[index].isRetracted = true
        // The name is free again, unless it was refused for one that stands.
        if !wasVoid {
            unordered[Int(entries[index].parent)]?.remove(entries[index].name)
            foldedNames?[Int(entries[index].parent)]?.remove(entries[index].name.folded)
        }
        return wasVoid || !entries[index].isStaged ? nil : .discard(entry: index, place: place(of: index))
    }

    private func target(of chunk: ListedChunk) -> ChunkTarget {
        let index = Int(chunk.entry)
        let role: ChunkTarget.Role =
            entries[index].isVoid ? .drop : chunk.isWholeFile ? .wholeFile : .part(offset: chunk.offset)
        return ChunkTarget(
            entry: index,
            place: place(of: index),
            length: Int(chunk.length),
            digest: chunk.digest,
            role: role
        )
    }
}

/// Chunks that a record has just listed.
package struct Offer: Sendable {
    package let entry: Int
    /// Index of its top-level entry.
    package let top: Int
    package let topName: EntryName
    package let isTopFolder: Bool
    /// From the top-level name down.
    package let path: String
    package let place: FilePlace
    package let items: [ChunksRecord.Item]
    /// Where the first item begins, in bytes of the file.
    package let offset: Int64
    package let size: Int64?
    package let isLast: Bool
    package let firstOrdinal: UInt64

    /// The file is the one chunk that is offered.
    var isSingleChunk: Bool {
        guard isLast, offset == 0, items.count == 1, case .chunk = items[0] else { return false }
        return true
    }
}

/// Where a file stands in staging, and what it shall look like there.
package struct FilePlace: Sendable {
    /// Index of its folder; −1 for the top.
    package let folder: Int
    package let name: EntryName
    /// As the sender said it.
    package let mode: UInt32
    package let modified: Timestamp
}

/// One chunk of a frame and where its bytes go.
package struct ChunkTarget: Sendable {
    package enum Role: Sendable {
        /// The entry is void: the bytes are passed over.
        case drop
        /// The chunk is all of its file, which it creates.
        case wholeFile
        /// The file stands already.
        case part(offset: Int64)
    }

    package let entry: Int
    package let place: FilePlace
    /// Bytes.
    package let length: Int
    package let digest: Digest
    package let role: Role
}

/// Why one entry was refused by the reader; the wire numbers of REJECT in `docs/protocol.md` section 3.1.
package enum RejectCause: UInt8, Sendable {
    case nameStands = 1
    case linkLeavesTree = 2
    case folderRefused = 3
    case nameNotTaken = 4
}

/// What a record asks of staging.
package enum StagingStep: Sendable {
    case makeFolder(entry: Int, parent: Int, name: EntryName)
    case createFile(entry: Int, place: FilePlace, size: Int64)
    case setSize(entry: Int, place: FilePlace, size: Int64)
    /// Must not run beside a frame of the same entry.
    case discard(entry: Int, place: FilePlace)
    case report(entry: Int, cause: RejectCause)

    /// Index of the entry that it is about.
    var entry: Int {
        switch self {
        case .makeFolder(let entry, _, _), .createFile(let entry, _, _), .setSize(let entry, _, _),
            .discard(let entry, _), .report(let entry, _):
            entry
        }
    }
}
