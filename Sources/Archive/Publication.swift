// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Gives what stands complete in staging its final names below the inbox.
///
/// Replaces nothing but what the same source delivered and nobody has touched since; whatever else has the name makes
/// `name (2)`. The order is the promise of `docs/archive-format.md` section 8: everything is synced, then renamed,
/// then the folders are synced. A folder that is new appears by one rename, one that is ours is merged file by file.
package struct Publication {
    /// Bytes behind a dot that still count as the ending of a name.
    private static let longestEnding = 64

    private let index: ArchiveIndex
    private let staging: Staging
    private let book: ReceiptBook?
    private var names: NamePlan
    /// Final folders by entry index.
    private let folders: FolderHandles
    private var finalNames: [Int: String] = [:]
    /// Folders that moved with all that is in them.
    private var movedWhole: Set<Int> = []
    private var mergedFolders: [Int] = []
    /// Inodes of which this publication has replaced a name.
    private var touched: Set<UInt64> = []

    /// Publishes below `folder`, the open destination of `names`.
    package init(_ index: ArchiveIndex, from staging: Staging, to folder: Directory, recall: Recall?, names: NamePlan) {
        self.index = index
        self.staging = staging
        book = recall?.book
        self.names = recall?.names ?? names
        folders = FolderHandles(root: folder)
    }

    /// Publishes every entry that is not void; `rename` maps a top-level name to the one wanted.
    package mutating func publish(rename: (EntryName) -> String = { $0.text }) throws(StagingError) {
        var lost: Int?
        do throws(SystemError) {
            for entry in index.entries.indices where !index.entries[entry].isVoid {
                guard try place(entry, rename) else {
                    lost = lost ?? entry
                    break
                }
            }
        } catch {
            throw StagingError(error)
        }
        if let lost { throw .changedMeanwhile(path: index.path(of: lost)) }
        do throws(SystemError) {
            for entry in mergedFolders.reversed() {
                guard let folder = try folders.handle(of: entry) else { continue }
                try folder.setMode(0o700 | (UInt32(index.entries[entry].mode) & 0o755))
                try folder.setModified(index.entries[entry].modified.clamped)
                try folder.synchronize()
            }
            try folders.root.synchronize()
            try staging.tree.synchronize()
        } catch {
            throw StagingError(error)
        }
    }

    /// Final names of the top-level entries, in record order; empty for one that stood there already.
    package var topLevelNames: [String] {
        index.entries.indices.filter { index.entries[$0].parent < 0 && !index.entries[$0].isVoid }
            .map { finalNames[$0] ?? "" }
    }

    /// Receipts for everything that this send has put in place, by path below the inbox; kept files have theirs.
    package func receipts() throws(StagingError) -> [(path: String, receipt: ReceiptBook.Receipt)] {
        var items: [Int: [ChunksRecord.Item]] = [:]
        var receipts: [(path: String, receipt: ReceiptBook.Receipt)] = []
        var paths: [Int: String] = [:]
        try staging.readManifest { record throws(FormatError) in
            guard case .chunks(let chunks) = record, let entry = index.index(ofNumber: chunks.entry),
                !index.entries[entry].isVoid, !index.entries[entry].isKept
            else { return }
            items[entry, default: []].append(contentsOf: chunks.items)
        }
        do throws(SystemError) {
            for entry in index.entries.indices where !index.entries[entry].isVoid {
                let name = finalNames[entry] ?? index.entries[entry].name.text
                let parent = Int(index.entries[entry].parent)
                let path = (paths[parent] ?? names.prefix) + name
                let kind = index.entries[entry].kind
                if kind == .folder { paths[entry] = path + "/" }
                if index.entries[entry].isKept || (kind == .folder && parent >= 0) { continue }
                guard let holder = try folders.handle(of: parent), let status = try holder.statusIfPresent(name) else {
                    continue
                }
                receipts.append(
                    (
                        path,
                        ReceiptBook.Receipt(
                            kind: kind == .hardLink ? .file : kind,
                            identity: FileIdentity(status),
                            mode: UInt32(index.entries[entry].mode),
                            items: items[index.hardLinks[entry] ?? entry] ?? []
                        )
                    )
                )
            }
        } catch {
            throw StagingError(error)
        }
        return receipts
    }

    // MARK: - One entry

    /// Gives one entry its final name; false where it is kept and what it counts on is not there any more.
    private mutating func place(_ entry: Int, _ rename: (EntryName) -> String) throws(SystemError) -> Bool {
        let parent = Int(index.entries[entry].parent)
        let name = index.entries[entry].name.text
        let kind = index.entries[entry].kind
        if parent >= 0, movedWhole.contains(parent) {
            if kind == .folder {
                movedWhole.insert(entry)
                folders.note(entry, parent: parent, name: name)
            }
            return !index.entries[entry].isKept
        }
        guard let holder = try folders.handle(of: parent), let staged = try staging.stagedFolder(of: parent) else {
            return !index.entries[entry].isKept
        }
        let wanted = parent < 0 ? try chosenName(entry, rename) : name
        let path = self.path(of: entry, as: wanted)
        if index.entries[entry].isKept {
            finalNames[entry] = wanted
            guard let status = try holder.statusIfPresent(wanted) else { return false }
            return book?[path].map { isOurs(status, $0) } == true
        }
        if kind == .hardLink, let target = index.hardLinks[entry], index.entries[target].isKept,
            try !stageLink(name, in: staged, to: target, standingAs: wanted, in: holder)
        {
            finalNames[entry] = wanted
            return true
        }
        if kind == .folder {
            try placeFolder(entry, name, staged, holder, wanted, path)
        } else {
            if parent < 0, try isThere(name, staged, holder, rename(index.entries[entry].name), before: wanted) {
                return true
            }
            finalNames[entry] = try placeFile(name, staged, holder, wanted, path)
        }
        return true
    }

    private mutating func chosenName(_ entry: Int, _ rename: (EntryName) -> String) throws(SystemError) -> String {
        try names.choose(
            entry,
            name: rename(index.entries[entry].name),
            isFolder: index.entries[entry].kind == .folder,
            book: book
        )
    }

    /// Path below the inbox of an entry in a folder that is being merged; only then there are receipts to find.
    private func path(of entry: Int, as name: String) -> String {
        var parts = [name]
        var cursor = Int(index.entries[entry].parent)
        while cursor >= 0 {
            parts.append(finalNames[cursor] ?? index.entries[cursor].name.text)
            cursor = Int(index.entries[cursor].parent)
        }
        return names.prefix + parts.reversed().joined(separator: "/")
    }

    private mutating func placeFolder(
        _ entry: Int,
        _ name: String,
        _ staged: Directory,
        _ holder: Directory,
        _ wanted: String,
        _ path: String
    ) throws(SystemError) {
        let parent = Int(index.entries[entry].parent)
        if let standing = try holder.statusIfPresent(wanted) {
            let receipt = book?[path]
            if standing.kind == .directory, parent >= 0 || receipt?.isOf(standing) == true {
                finalNames[entry] = wanted
                folders.note(entry, parent: parent, name: wanted)
                mergedFolders.append(entry)
                return
            }
            if try replace(standing, receipt, by: name, staged, holder, wanted) {
                finalNames[entry] = wanted
                folders.note(entry, parent: parent, name: wanted)
                movedWhole.insert(entry)
                return
            }
        }
        let final = try moveToFreeName(name, staged, holder, wanted, isFolder: true)
        finalNames[entry] = final
        folders.note(entry, parent: parent, name: final)
        movedWhole.insert(entry)
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
        while candidate != wanted, number <= 9_999 {
            if try isSame(name, in: staged, as: candidate, in: holder) { return true }
            candidate = Self.numbered(original, number, isFolder: false)
            number += 1
        }
        return false
    }

    /// Moves one staged file or symlink; returns its final name, nil where the same one stood there.
    private mutating func placeFile(
        _ name: String,
        _ staged: Directory,
        _ holder: Directory,
        _ wanted: String,
        _ path: String
    ) throws(SystemError) -> String? {
        guard let standing = try holder.statusIfPresent(wanted) else {
            return try moveToFreeName(name, staged, holder, wanted, isFolder: false)
        }
        if try replace(standing, book?[path], by: name, staged, holder, wanted) { return wanted }
        if try isSame(name, in: staged, as: wanted, in: holder) { return nil }
        return try moveToFreeName(name, staged, holder, wanted, isFolder: false)
    }

    /// Exchanges a file or symlink that is ours for the staged name; false where it stays as it is.
    private mutating func replace(
        _ standing: FileStatus,
        _ receipt: ReceiptBook.Receipt?,
        by name: String,
        _ staged: Directory,
        _ holder: Directory,
        _ wanted: String
    ) throws(SystemError) -> Bool {
        guard let receipt, standing.kind != .directory, isOurs(standing, receipt) else { return false }
        touched.insert(standing.inode)
        try holder.exchange(wanted, with: name, in: staged)
        guard receipt.isOf(try staged.status(name), ignoringChangeTime: true) else {
            // It was edited just before the exchange: the edit goes back to its place.
            try holder.exchange(wanted, with: name, in: staged)
            return false
        }
        try staged.removeFile(name)
        return true
    }

    /// Renames to `wanted`, or to the first of `wanted (2)` … that is free.
    private func moveToFreeName(
        _ name: String,
        _ staged: Directory,
        _ holder: Directory,
        _ wanted: String,
        isFolder: Bool
    ) throws(SystemError) -> String {
        var candidate = wanted
        var number = 2
        while true {
            do throws(SystemError) {
                try staged.renameWithoutReplacing(name, to: candidate, in: holder)
                return candidate
            } catch {
                guard error.errno == .fileExists || error.errno == .directoryNotEmpty, number <= 9_999 else {
                    throw error
                }
                candidate = Self.numbered(wanted, number, isFolder: isFolder)
                number += 1
            }
        }
    }

    /// Makes a further name of a kept file in staging, to be placed like any other; false where it stands already.
    private func stageLink(
        _ name: String,
        in staged: Directory,
        to target: Int,
        standingAs wanted: String,
        in holder: Directory
    ) throws(SystemError) -> Bool {
        let targetName = finalNames[target] ?? index.entries[target].name.text
        guard let source = try folders.handle(of: Int(index.entries[target].parent)),
            let kept = try source.statusIfPresent(targetName)
        else { return false }
        if let standing = try holder.statusIfPresent(wanted), standing.isSameFile(as: kept) { return false }
        try staged.makeLink(name, to: targetName, in: source)
        return true
    }

    /// True where nobody but this very publication has touched what was delivered.
    ///
    /// Replacing one of several names of a file moves the change time of them all.
    private func isOurs(_ standing: FileStatus, _ receipt: ReceiptBook.Receipt) -> Bool {
        receipt.isOf(standing) || (touched.contains(standing.inode) && receipt.isOf(standing, ignoringChangeTime: true))
    }

    // MARK: - Comparing and naming

    /// True for regular files of the same bytes, and for symlinks that say the same.
    private func isSame(
        _ staged: String,
        in folder: Directory,
        as name: String,
        in holder: Directory
    ) throws(SystemError) -> Bool {
        guard let mine = try folder.statusIfPresent(staged), let theirs = try holder.statusIfPresent(name),
            mine.kind == theirs.kind, mine.size == theirs.size
        else { return false }
        switch mine.kind {
        case .symlink: return try folder.readLink(staged) == holder.readLink(name)
        case .file:
            // Reading the zeros of a huge hole would cost what the hole saves: such files count as different.
            guard mine.allocatedBlocks * 512 >= mine.size / 64 else { return false }
            return try hasSameBytes(staged, in: folder, as: name, in: holder, size: mine.size)
        default: return false
        }
    }

    private func hasSameBytes(
        _ staged: String,
        in folder: Directory,
        as name: String,
        in holder: Directory,
        size: Int64
    ) throws(SystemError) -> Bool {
        let left = try folder.openFile(staged)
        let right: OwnedDescriptor
        do throws(SystemError) {
            right = try holder.openFile(name)
        } catch {
            guard error.errno == .permissionDenied else { throw error }
            return false
        }
        let slabs = (left: try Slab(capacity: 1 << 18), right: try Slab(capacity: 1 << 18))
        var offset: Int64 = 0
        while offset < size {
            let leftCount = try Self.fill(slabs.left, from: left, at: offset)
            let rightCount = try Self.fill(slabs.right, from: right, at: offset)
            guard leftCount == rightCount, leftCount > 0 else { return false }
            let isEqual = slabs.left.withBytes(0..<leftCount) { left in
                slabs.right.withBytes(0..<leftCount) { right in left.isEqual(to: right) }
            }
            guard isEqual else { return false }
            offset += Int64(leftCount)
        }
        return true
    }

    private static func fill(
        _ slab: Slab,
        from file: borrowing OwnedDescriptor,
        at offset: Int64
    ) throws(SystemError) -> Int {
        try slab.withMutableBytes(0..<slab.capacity) { (span: inout MutableRawSpan) throws(SystemError) in
            try file.read(into: &span, at: offset)
        }
    }

    /// `name (2).ext`; folders and names that begin with their only dot keep it all in front; `.tar.gz` stays whole.
    package static func numbered(_ name: String, _ number: Int, isFolder: Bool) -> String {
        var stem = name
        var ending = ""
        if !isFolder, let dot = name.lastIndex(of: "."), dot != name.startIndex {
            stem = String(name[..<dot])
            ending = String(name[dot...])
            if stem.hasSuffix(".tar"), stem.count > 4 {
                stem.removeLast(4)
                ending = ".tar" + ending
            }
            if ending.utf8.count > longestEnding {
                stem = name
                ending = ""
            }
        }
        let mark = " (\(number))"
        // A name has at most 255 bytes: the stem gives way, whole characters at a time.
        while stem.utf8.count + mark.utf8.count + ending.utf8.count > ArchiveLimits.nameBytes, !stem.isEmpty {
            stem.removeLast()
        }
        return stem + mark + ending
    }
}

extension RawSpan {
    fileprivate func isEqual(to other: RawSpan) -> Bool {
        unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in unsafe left.elementsEqual(right) }
        }
    }
}
