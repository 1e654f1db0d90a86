// SPDX-License-Identifier: MIT

package import Descriptors

/// What files that are kept as they stand were when that was found: to see at the end whether they still are.
///
/// Eight bytes an entry, of which a transfer may have a million. Whatever differs is looked at again, so that two states
/// with one mark would have to follow each other in one file to be missed.
package struct KeptFiles: Sendable {
    /// By entry index; 0 where nothing is known.
    private var marks: [UInt64] = []

    package init() {}

    /// Notes how an entry's file stands.
    mutating func note(_ entry: Int, _ identity: FileIdentity) {
        if entry >= marks.count { marks.append(contentsOf: repeatElement(0, count: entry + 1 - marks.count)) }
        marks[entry] = Self.mark(of: identity)
    }

    /// True where a plain file stands that is what was noted of the entry.
    func isStill(_ entry: Int, _ status: FileStatus) -> Bool {
        guard entry < marks.count, marks[entry] != 0, status.kind == .file else { return false }
        return marks[entry] == Self.mark(of: FileIdentity(status))
    }

    private static func mark(of identity: FileIdentity) -> UInt64 {
        UInt64(bitPattern: Int64(identity.hashValue)) | 1
    }
}
