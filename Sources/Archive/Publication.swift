// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Gives what stands complete in staging its final names below one folder.
///
/// Never replaces: a name that is taken by something else makes `name (2)`. The order is the promise of
/// `docs/archive-format.md` section 8: everything synced, renamed without replacing, both folders synced.
package struct Publication: Sendable {
    /// One top-level name and where it went.
    package struct Outcome: Sendable {
        /// Index of the entry.
        package let entry: Int
        /// The final name; nil where an identical file stood there already.
        package let finalName: String?
    }

    package let destination: Directory

    package init(destination: Directory) {
        self.destination = destination
    }

    /// Publishes every top-level entry that is not void.
    ///
    /// `rename` maps an entry's name to the one wanted.
    package func publish(
        _ index: ArchiveIndex,
        from staging: Staging,
        naming: (EntryName) -> String = { $0.text }
    ) throws(StagingError) -> [Outcome] {
        var outcomes: [Outcome] = []
        do throws(SystemError) {
            for entry in index.entries.indices where index.entries[entry].parent < 0 && !index.entries[entry].isVoid {
                let staged = index.entries[entry].name.text
                let name = try place(
                    staged,
                    of: staging,
                    as: naming(index.entries[entry].name),
                    isFolder: index.entries[entry].kind == .folder
                )
                outcomes.append(Outcome(entry: entry, finalName: name))
            }
            try destination.synchronize()
            try staging.tree.synchronize()
        } catch {
            throw StagingError(error)
        }
        return outcomes
    }

    /// Moves one staged name to `wanted` or the first free `wanted (n)`; nil where an identical file stands there.
    private func place(
        _ staged: String,
        of staging: Staging,
        as wanted: String,
        isFolder: Bool
    ) throws(SystemError) -> String? {
        var candidate = wanted
        var number = 2
        while true {
            do throws(SystemError) {
                try staging.tree.renameWithoutReplacing(staged, to: candidate, in: destination)
                return candidate
            } catch {
                guard error.errno == .fileExists || error.errno == .directoryNotEmpty else { throw error }
                if !isFolder, try isSameFile(staged, in: staging.tree, as: candidate) { return nil }
                guard number <= 9_999 else { throw error }
                candidate = Self.numbered(wanted, number, isFolder: isFolder)
                number += 1
            }
        }
    }

    /// Compares two regular files byte for byte; anything else is not the same.
    private func isSameFile(_ staged: String, in tree: Directory, as name: String) throws(SystemError) -> Bool {
        guard let mine = try tree.statusIfPresent(staged), let theirs = try destination.statusIfPresent(name),
            mine.kind == .file, theirs.kind == .file, mine.size == theirs.size
        else { return false }
        let left = try tree.openFile(staged)
        let right: OwnedDescriptor
        do throws(SystemError) {
            right = try destination.openFile(name)
        } catch {
            guard error.errno == .permissionDenied else { throw error }
            return false
        }
        let slabs = (left: try Slab(capacity: 1 << 18), right: try Slab(capacity: 1 << 18))
        var offset: Int64 = 0
        while offset < mine.size {
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
