// SPDX-License-Identifier: MIT

import Descriptors
private import SystemPackage

/// Whether a staged name and a final one say the same.
enum FileComparison {
    /// True for regular files of the same bytes, and for symlinks that say the same.
    static func isSame(
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

    private static func hasSameBytes(
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
            let leftCount = try fill(slabs.left, from: left, at: offset)
            let rightCount = try fill(slabs.right, from: right, at: offset)
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
}

extension RawSpan {
    fileprivate func isEqual(to other: RawSpan) -> Bool {
        unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in unsafe left.elementsEqual(right) }
        }
    }
}
