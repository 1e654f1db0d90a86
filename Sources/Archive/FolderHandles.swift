// SPDX-License-Identifier: MIT

package import Descriptors
private import Synchronization

/// Held folders of a tree by entry index, opened from a root component by component, following no symlink.
///
/// Safe to use from several threads. Holds a bounded number of descriptors: when full, all are let go, since
/// neighbouring files share a folder and few are opened again.
package final class FolderHandles: Sendable {
    private struct Table {
        /// Parent and name of folders, by entry index.
        var places: [Int: (parent: Int, name: String)] = [:]
        /// Folders that are nowhere.
        var forgotten: Set<Int> = []
        var handles: [Int: Directory] = [:]
    }

    private static let capacity = 128

    /// What index −1 stands for.
    package let root: Directory
    /// Says where folders stand that were not noted; nil for an archive whose entries still come.
    private let index: ArchiveIndex?
    private let table = Mutex(Table())

    package init(root: Directory, index: ArchiveIndex? = nil) {
        self.root = root
        self.index = index
    }

    /// Says where the folder of an entry stands, if not under the name of its record; its parent must be known.
    package func note(_ entry: Int, parent: Int, name: String) {
        table.withLock { $0.places[entry] = (parent, name) }
    }

    /// Says that the folder of an entry is nowhere: what is in it has no handle.
    package func forget(_ entry: Int) {
        table.withLock { table in
            table.forgotten.insert(entry)
            table.handles[entry] = nil
        }
    }

    /// Lets go of all descriptors.
    package func close() {
        table.withLock { $0.handles = [:] }
    }

    /// The held folder of an entry, opened from its nearest held ancestor; nil where it was never noted.
    package func handle(of entry: Int) throws(SystemError) -> Directory? {
        if entry < 0 { return root }
        var descent: [(entry: Int, name: String)] = []
        var start: Directory? = root
        table.withLock { table in
            var cursor = entry
            while cursor >= 0 {
                if let held = table.handles[cursor] {
                    start = held
                    return
                }
                guard !table.forgotten.contains(cursor), let place = table.places[cursor] ?? indexed(cursor) else {
                    start = nil
                    return
                }
                descent.append((cursor, place.name))
                cursor = place.parent
            }
        }
        guard var current = start else { return nil }
        for step in descent.reversed() {
            current = try current.subdirectory(step.name)
            let held = current
            table.withLock { table in
                if table.handles.count >= Self.capacity { table.handles = [:] }
                table.handles[step.entry] = held
            }
        }
        return current
    }

    private func indexed(_ entry: Int) -> (parent: Int, name: String)? {
        guard let index, entry < index.entries.count, index.entries[entry].kind == .folder,
            !index.entries[entry].isVoid
        else { return nil }
        return (Int(index.entries[entry].parent), index.entries[entry].name.text)
    }
}
