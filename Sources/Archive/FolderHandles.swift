// SPDX-License-Identifier: MIT

package import Descriptors
private import Synchronization

/// Held folders of a tree by entry index, opened from a root component by component, following no symlink.
///
/// Safe to use from several threads. Holds a bounded number of descriptors: when full, all are let go, since
/// neighbouring files share a folder and few are opened again.
package final class FolderHandles: Sendable {
    private struct Table {
        /// Parent and name of each folder, by entry index.
        var places: [Int: (parent: Int, name: String)] = [:]
        var handles: [Int: Directory] = [:]
    }

    private static let capacity = 128

    /// What index −1 stands for.
    package let root: Directory
    private let table = Mutex(Table())

    package init(root: Directory) {
        self.root = root
    }

    /// Says where the folder of an entry stands; its parent must have been noted.
    package func note(_ entry: Int, parent: Int, name: String) {
        table.withLock { $0.places[entry] = (parent, name) }
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
                guard let place = table.places[cursor] else {
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
}
