// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Gives what stands complete in staging its final names below the inbox.
///
/// Replaces nothing but what the same source delivered and nobody has touched since; whatever else has the name makes
/// `name (2)`. A folder that is new appears by one rename, one that is ours is merged file by file. What will be done
/// is written down and synced first (`plan`), so that a publication that was cut short at any point is carried to its
/// end (`carryOut`) by whoever finds it, without the sender (`docs/archive-format.md` section 8).
package struct Publication {
    /// What became of one staged name.
    private enum Outcome {
        case at(String)
        /// The user has the same.
        case skipped
        /// Another one stays there.
        case left
        /// Somebody moved or removed it meanwhile.
        case lost
    }

    package let index: ArchiveIndex
    package let staging: Staging
    package let names: NamePlan
    private let book: ReceiptSnapshot?
    private let kept: KeptFiles
    /// Final folders by entry index.
    let folders: FolderHandles
    /// Of entries that did not get the name of their record.
    private(set) var finalNames: [Int: String] = [:]
    /// Entries without a final name.
    private(set) var absent: Set<Int> = []
    /// Of those, the ones in whose place another one stays; of a folder everything that is in it, too.
    private var left: Set<Int> = []
    private var mergedFolders: [Int] = []
    /// Folders in which a name was made, exchanged or removed.
    private var touchedFolders: Set<Int> = []
    /// Inodes of which this publication replaces a name: that moves the change time of their other names.
    private var replaced: Set<UInt64> = []
    /// False where something that was to be published was lost on the way.
    package private(set) var isWhole = true

    /// Publishes below `folder`, the open destination of `names`; `kept` is what the transfer's `Recall` found.
    package init(
        _ index: ArchiveIndex,
        from staging: Staging,
        to folder: Directory,
        book: ReceiptSnapshot?,
        names: NamePlan,
        kept: KeptFiles = KeptFiles()
    ) {
        self.index = index
        self.staging = staging
        self.book = book
        self.names = names
        self.kept = kept
        folders = FolderHandles(root: folder, index: index)
    }

    /// Publishes every entry that is not void, without writing down a plan: for a single name.
    package mutating func publish() throws(StagingError) {
        var steps: [PublicationStep] = []
        var planner = PublicationPlanner(index, staging, book, names, kept, root: folders.root)
        try planner.plan { (step) throws(SystemError) in steps.append(step) }
        do throws(SystemError) {
            for step in steps { try carryOut(step) }
            try settle()
        } catch {
            throw StagingError(error)
        }
    }

    /// Writes down what will be done and makes it durable; from then on it will be done.
    package mutating func plan(_ head: PublicationHead) throws(StagingError) {
        let writer = try staging.beginPlan(head, index)
        var planner = PublicationPlanner(index, staging, book, names, kept, root: folders.root)
        try planner.plan { (step) throws(SystemError) in try writer.add(step) }
        try staging.finishPlan(writer)
    }

    /// Does what the plan says and is not done yet, and makes it durable.
    package mutating func carryOut() throws(StagingError) {
        do throws(SystemError) {
            guard let plan = try staging.readPlan() else { return }
            try plan.forEachStep { (step) throws(SystemError) in try carryOut(step) }
            try settle()
        } catch {
            throw StagingError(error)
        }
    }

    /// Final names of the top-level entries, in record order; empty for one that has none.
    package var topLevelNames: [String] {
        index.entries.indices.filter { index.entries[$0].parent < 0 && !index.entries[$0].isVoid }
            .map { absent.contains($0) ? "" : finalNames[$0] ?? index.entries[$0].name.text }
    }

    /// Entries that are not there because another one stays, with all that is in them.
    package var leftEntries: Set<Int> {
        guard !left.isEmpty else { return [] }
        // A folder stands before what is in it.
        return index.entries.indices.reduce(into: left) { found, entry in
            if found.contains(Int(index.entries[entry].parent)) { found.insert(entry) }
        }
    }

    // MARK: - One step

    private mutating func carryOut(_ step: PublicationStep) throws(SystemError) {
        guard step.entry < index.entries.count else { return }
        let parent = Int(index.entries[step.entry].parent)
        switch step.action {
        case .place, .replace: touchedFolders.insert(parent)
        case .keep, .skip, .leave, .merge: break
        }
        var outcome = Outcome.lost
        do throws(SystemError) {
            if let holder = try folders.handle(of: parent), let staged = try staging.stagedFolder(of: parent) {
                outcome = try perform(step, staged, holder)
            }
        } catch {
            // The user has moved or replaced a folder meanwhile; every other failure is one of the disk.
            guard error.meansMoved else { throw error }
        }
        switch outcome {
        case .at(let final):
            if !final.utf8.elementsEqual(index.entries[step.entry].name.text.utf8) {
                finalNames[step.entry] = final
                if index.entries[step.entry].kind == .folder {
                    folders.note(step.entry, parent: parent, name: final)
                }
            }
        case .skipped, .left, .lost:
            absent.insert(step.entry)
            if case .left = outcome { left.insert(step.entry) }
            folders.forget(step.entry)
            if case .lost = outcome { isWhole = false }
        }
    }

    private mutating func perform(
        _ step: PublicationStep,
        _ staged: Directory,
        _ holder: Directory
    ) throws(SystemError) -> Outcome {
        switch step.action {
        case .keep: return .at(step.name)
        case .skip: return .skipped
        case .leave: return .left
        case .place: return try place(step, staged, holder)
        case .replace: return try replace(step, staged, holder)
        case .merge:
            if let standing = try holder.statusIfPresent(step.name), standing.kind == .directory,
                standing.inode == step.inode
            {
                mergedFolders.append(step.entry)
                return .at(step.name)
            }
            // It is not there any more: what is still staged of it makes a folder of its own.
            guard try staged.statusIfPresent(name(of: step)) != nil else { return .lost }
            isWhole = false
            touchedFolders.insert(Int(index.entries[step.entry].parent))
            return .at(try moveToFreeName(step, staged, holder))
        }
    }

    /// Moves a staged name to its final one or, where that is taken, to the next number.
    private func place(
        _ step: PublicationStep,
        _ staged: Directory,
        _ holder: Directory
    ) throws(SystemError) -> Outcome {
        guard let mine = try staged.statusIfPresent(name(of: step)), mine.inode == step.inode else {
            return try find(step, holder)
        }
        if let standing = try holder.statusIfPresent(step.name), !standing.isSameFile(as: mine),
            try FileComparison.isSame(name(of: step), in: staged, as: step.name, in: holder)
        {
            return .skipped
        }
        return .at(try moveToFreeName(step, staged, holder))
    }

    /// Exchanges the staged name for what is ours, and removes that if it was what it should be.
    private mutating func replace(
        _ step: PublicationStep,
        _ staged: Directory,
        _ holder: Directory
    ) throws(SystemError) -> Outcome {
        guard let old = step.replaced else { return .lost }
        defer { replaced.insert(old.inode) }
        let standing = try holder.statusIfPresent(step.name)
        guard let mine = try staged.statusIfPresent(name(of: step)) else {
            return try standing?.inode == step.inode ? .at(step.name) : find(step, holder)
        }
        if mine.inode == step.inode {
            let hasMovedTime = replaced.contains(old.inode) || (standing?.linkCount ?? 0) > 1
            guard let standing, standing.kind != .directory, old.matches(standing, ignoringChangeTime: hasMovedTime),
                try exchange(step, staged, holder)
            else { return try place(step, staged, holder) }
        } else if standing?.inode != step.inode {
            // Exchanged before, and then the user has moved what we put there: an edit that came out goes back.
            if !old.matches(mine, ignoringChangeTime: true) { _ = try moveToFreeName(step, staged, holder) }
            return try find(step, holder)
        }
        if old.matches(try staged.status(name(of: step)), ignoringChangeTime: true) {
            try staged.removeFile(name(of: step))
            return .at(step.name)
        }
        // It was edited just before the exchange: the edit goes back to its place.
        try holder.exchange(step.name, with: name(of: step), in: staged)
        return try place(step, staged, holder)
    }

    /// False where the file system cannot exchange: then what stands there stays.
    private func exchange(
        _ step: PublicationStep,
        _ staged: Directory,
        _ holder: Directory
    ) throws(SystemError) -> Bool {
        do throws(SystemError) {
            try holder.exchange(step.name, with: name(of: step), in: staged)
            return true
        } catch {
            guard error.errno == .notSupported else { throw error }
            return false
        }
    }

    /// Renames to the name wanted, or to the first of `name (2)` … that is free.
    private func moveToFreeName(
        _ step: PublicationStep,
        _ staged: Directory,
        _ holder: Directory
    ) throws(SystemError) -> String {
        let isFolder = index.entries[step.entry].kind == .folder
        var candidate = step.name
        var number = 2
        while true {
            do throws(SystemError) {
                try staged.renameWithoutReplacing(name(of: step), to: candidate, in: holder)
                return candidate
            } catch {
                guard error.errno == .fileExists || error.errno == .directoryNotEmpty,
                    number <= Self.highestNumber
                else { throw error }
            }
            // Where a rename goes by linking, it may have been cut short between its two halves.
            if let standing = try holder.statusIfPresent(candidate),
                try staged.status(name(of: step)).isSameFile(as: standing)
            {
                try staged.removeFile(name(of: step))
                return candidate
            }
            candidate = Self.numbered(step.name, number, isFolder: isFolder)
            number += 1
        }
    }

    /// Where a name that has left staging went: the name wanted, or a number behind it without a gap.
    private func find(_ step: PublicationStep, _ holder: Directory) throws(SystemError) -> Outcome {
        let isFolder = index.entries[step.entry].kind == .folder
        var candidate = step.name
        var number = 2
        while let status = try holder.statusIfPresent(candidate), number <= Self.highestNumber {
            if status.inode == step.inode { return .at(candidate) }
            candidate = Self.numbered(step.name, number, isFolder: isFolder)
            number += 1
        }
        return .lost
    }

    private func name(of step: PublicationStep) -> String { index.entries[step.entry].name.text }

    // MARK: - The end

    /// Folders that are synced one by one; more of them are synced with their file system.
    private static let singleSyncs = 8

    /// Modes and times of merged folders, and everything durable; what is as it should be is left alone.
    private mutating func settle() throws(SystemError) {
        var changed: [Int] = []
        for entry in mergedFolders.reversed() {
            do throws(SystemError) {
                guard let folder = try folders.handle(of: entry) else { continue }
                let mode = 0o700 | (UInt32(index.entries[entry].mode) & 0o755)
                let modified = index.entries[entry].modified.clamped
                let status = try folder.descriptor.status()
                if touchedFolders.contains(entry) || status.mode != mode || status.modified != modified {
                    try folder.setMode(mode)
                    try folder.setModified(modified)
                    changed.append(entry)
                }
            } catch {
                guard error.meansMoved else { throw error }
            }
        }
        try synchronize(changed)
        try folders.root.synchronize()
        try staging.tree.synchronize()
    }

    private func synchronize(_ changed: [Int]) throws(SystemError) {
        #if os(Linux)
        if changed.count > Self.singleSyncs { return try folders.root.descriptor.synchronizeFileSystem() }
        #endif
        for entry in changed {
            do throws(SystemError) {
                try folders.handle(of: entry)?.synchronize()
            } catch {
                guard error.meansMoved else { throw error }
            }
        }
    }

    /// Whether other names of this inode may have a change time that is not in their receipt.
    func hasMovedChangeTime(_ status: FileStatus) -> Bool {
        replaced.contains(status.inode) || status.linkCount > 1
    }
}

extension SystemError {
    /// Something on the way to a name is not what it was.
    var meansMoved: Bool {
        switch errno {
        case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels: true
        default: false
        }
    }
}
