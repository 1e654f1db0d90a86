// SPDX-License-Identifier: MIT

import Descriptors
private import SystemPackage

/// Decides what publishing does with each staged name, from what stands at the final places now.
///
/// Changes nothing there; a further name of a kept file is made in staging, to be placed like any other.
struct PublicationPlanner {
    private enum Decision {
        case step(PublicationStep)
        /// It moves with its folder, or stands as it was delivered.
        case nothing
        /// It is kept, and what it counts on is not there any more.
        case lost
        /// Another one has its name, and that is an error.
        case conflict
    }

    private let index: ArchiveIndex
    private let staging: Staging
    private let book: ReceiptSnapshot?
    private let kept: KeptFiles
    private var names: NamePlan
    /// Final folders by entry index.
    private let folders: FolderHandles
    /// Of merged folders whose name is not that of their entry.
    private var finalNames: [Int: String] = [:]
    private var prefix: FolderPrefix
    /// The final folder that was asked for last.
    private var lastHolder: (entry: Int, folder: Directory)?
    /// Folders that will move, or be dropped, with all that is in them.
    private var movesWhole: [Bool]
    /// Inodes of kept files that have got a further name just now, which moves their change time.
    private var linked: Set<UInt64> = []

    init(
        _ index: ArchiveIndex,
        _ staging: Staging,
        _ book: ReceiptSnapshot?,
        _ names: NamePlan,
        _ kept: KeptFiles,
        root: Directory
    ) {
        self.index = index
        self.staging = staging
        self.book = book
        self.names = names
        self.kept = kept
        prefix = FolderPrefix(names.prefix)
        folders = FolderHandles(root: root, index: index)
        movesWhole = Array(repeating: false, count: index.entries.count)
    }

    /// Hands out the steps in the order in which they are to be carried out.
    ///
    /// Throws `changedMeanwhile` where a file that is kept is not there any more, and `conflict` where the rule says so.
    mutating func plan(
        _ emit: (PublicationStep) throws(SystemError) -> Void
    ) throws(StagingError) {
        var lost: Int?
        var conflict: Int?
        do throws(SystemError) {
            for entry in index.entries.indices where lost == nil && conflict == nil && !index.entries[entry].isVoid {
                switch try decide(entry) {
                case .step(let step): try emit(step)
                case .nothing: break
                case .lost: lost = entry
                case .conflict: conflict = entry
                }
            }
        } catch {
            throw StagingError(error)
        }
        if let lost { throw .changedMeanwhile(path: index.path(of: lost)) }
        if let conflict { throw .conflict(path: index.path(of: conflict)) }
    }

    private mutating func decide(_ entry: Int) throws(SystemError) -> Decision {
        let parent = Int(index.entries[entry].parent)
        let kind = index.entries[entry].kind
        let isKept = index.entries[entry].isKept
        if parent >= 0, movesWhole[parent] {
            movesWhole[entry] = kind == .folder
            // Of a folder that is dropped what was to be kept is nobody's concern.
            return isKept && names.conflict != .skip ? .lost : .nothing
        }
        guard let holder = try folder(of: parent) else { return isKept ? .lost : .nothing }
        let name = index.entries[entry].name.text
        // Most of a tree that is sent again.
        if isKept, parent >= 0, let standing = try holder.statusIfPresent(name), kept.isStill(entry, standing) {
            return .nothing
        }
        guard let staged = try staging.stagedFolder(of: parent) else { return isKept ? .lost : .nothing }
        let wanted = parent < 0 ? try chosenName(entry) : name
        let standing = try holder.statusIfPresent(wanted)
        let receipt = book?[path(of: entry, as: wanted)]
        if isKept {
            guard let standing, let receipt, isOurs(standing, receipt) else { return .lost }
            return parent < 0 ? .step(PublicationStep(.keep, entry, as: wanted, inode: standing.inode)) : .nothing
        }
        if kind == .hardLink, let target = index.hardLinks[entry], index.entries[target].isKept,
            try !stageLink(name, in: staged, to: target, beside: standing)
        {
            return parent < 0 ? .step(PublicationStep(.keep, entry, as: wanted, inode: standing?.inode ?? 0)) : .nothing
        }
        guard let mine = try staged.statusIfPresent(name) else { return .nothing }
        let isFolder = kind == .folder
        if parent < 0, !isFolder, try isThere(name, staged, holder, names.naming(name), before: wanted) {
            return .step(PublicationStep(.skip, entry, as: wanted, inode: mine.inode))
        }
        // A name of what is not ours is passed over for `name (2)`, which an earlier send may have delivered.
        var candidate = wanted
        var number = 2
        while number <= Publication.highestNumber {
            if let step = try step(entry, mine, staged, holder, as: candidate, isFirst: number == 2) {
                return .step(step)
            }
            if names.conflict == .error { return .conflict }
            if names.conflict == .skip {
                movesWhole[entry] = isFolder
                return .step(PublicationStep(.leave, entry, as: candidate, inode: mine.inode))
            }
            candidate = Publication.numbered(wanted, number, isFolder: isFolder)
            number += 1
        }
        return .nothing
    }

    /// The final folder of an entry; neighbours share it.
    private mutating func folder(of parent: Int) throws(SystemError) -> Directory? {
        if let held = lastHolder, held.entry == parent { return held.folder }
        guard let folder = try folders.handle(of: parent) else { return nil }
        lastHolder = (parent, folder)
        return folder
    }

    /// What is done under one name; nil where that belongs to somebody else.
    private mutating func step(
        _ entry: Int,
        _ mine: FileStatus,
        _ staged: Directory,
        _ holder: Directory,
        as name: String,
        isFirst: Bool
    ) throws(SystemError) -> PublicationStep? {
        let parent = Int(index.entries[entry].parent)
        let isFolder = index.entries[entry].kind == .folder
        guard let standing = try holder.statusIfPresent(name) else {
            movesWhole[entry] = isFolder
            return PublicationStep(.place, entry, as: name, inode: mine.inode)
        }
        let receipt = book?[path(of: entry, as: name)]
        if isFolder, isFirst, standing.kind == .directory, names.conflict != .rename,
            parent >= 0 || receipt?.isOf(standing) == true
        {
            if !name.utf8.elementsEqual(index.entries[entry].name.text.utf8) { finalNames[entry] = name }
            folders.note(entry, parent: parent, name: name)
            return PublicationStep(.merge, entry, as: name, inode: standing.inode)
        }
        if names.conflict == .auto, let receipt, standing.kind != .directory, isOurs(standing, receipt) {
            movesWhole[entry] = isFolder
            return PublicationStep(.replace, entry, as: name, inode: mine.inode, replaced: FileIdentity(standing))
        }
        let ownName = index.entries[entry].name.text
        guard try FileComparison.isSame(ownName, in: staged, as: name, in: holder) else { return nil }
        return PublicationStep(.skip, entry, as: name, inode: mine.inode)
    }

    private mutating func chosenName(_ entry: Int) throws(SystemError) -> String {
        try names.choose(
            entry,
            name: index.entries[entry].name.text,
            isFolder: index.entries[entry].kind == .folder,
            book: book
        )
    }

    /// Path below the inbox of an entry in a folder that is being merged; only then there are receipts to find.
    private mutating func path(of entry: Int, as name: String) -> String {
        prefix.of(Int(index.entries[entry].parent), in: index, finalNames: finalNames) + name
    }

    /// True where the user has the same bytes under the name, or under a number before the one chosen.
    private func isThere(
        _ name: String,
        _ staged: Directory,
        _ holder: Directory,
        _ original: String,
        before wanted: String
    ) throws(SystemError) -> Bool {
        var candidate = original
        var number = 2
        while candidate != wanted, number <= Publication.highestNumber {
            if try FileComparison.isSame(name, in: staged, as: candidate, in: holder) { return true }
            candidate = Publication.numbered(original, number, isFolder: false)
            number += 1
        }
        return false
    }

    /// Makes a further name of a kept file in staging; false where it stands at its final place already.
    private mutating func stageLink(
        _ name: String,
        in staged: Directory,
        to target: Int,
        beside standing: FileStatus?
    ) throws(SystemError) -> Bool {
        let targetName = finalNames[target] ?? index.entries[target].name.text
        guard let source = try folders.handle(of: Int(index.entries[target].parent)),
            let kept = try source.statusIfPresent(targetName)
        else { return false }
        if let standing, standing.isSameFile(as: kept) { return false }
        linked.insert(kept.inode)
        try staged.makeLink(name, to: targetName, in: source)
        return true
    }

    /// True where nobody but this very publication has touched what was delivered.
    private func isOurs(_ standing: FileStatus, _ receipt: Receipt) -> Bool {
        receipt.isOf(standing) || (linked.contains(standing.inode) && receipt.isOf(standing, ignoringChangeTime: true))
    }
}
