// SPDX-License-Identifier: MIT

import Descriptors
private import Synchronization

/// A folder of the source, known by its place below the source's own folder.
///
/// It is open as long as somebody uses it, and is opened again when it is wanted later: entries may be kept by the
/// thousand and hold no descriptor.
package final class SourceFolder: Sendable {
    private enum Place: Sendable {
        /// The folder that holds a source, open all the time.
        case anchor(Directory)
        case below(SourceFolder, name: String, followsLink: Bool)
    }

    private struct Reference: Sendable {
        weak var directory: Directory?
        var isShared: Bool?
    }

    private let place: Place
    private let reference: Mutex<Reference>

    init(holding directory: Directory) {
        place = .anchor(directory)
        reference = Mutex(Reference(directory: directory))
    }

    init(_ name: String, in parent: SourceFolder, followsLink: Bool) {
        place = .below(parent, name: name, followsLink: followsLink)
        reference = Mutex(Reference())
    }

    /// Whether others may write here without this machine's knowledge: a network or cluster file system, or FUSE.
    func isShared() throws(SystemError) -> Bool {
        if let known = reference.withLock({ $0.isShared }) { return known }
        let isShared = try open().isOnNetworkFileSystem()
        reference.withLock { $0.isShared = isShared }
        return isShared
    }

    /// The open folder; keep it while its entries are used.
    func open() throws(SystemError) -> Directory {
        if let directory = reference.withLock({ $0.directory }) { return directory }
        switch place {
        case .anchor(let directory): return directory
        case .below(let parent, let name, let followsLink):
            let holder = try parent.open()
            let directory =
                followsLink
                ? Directory(adopting: try holder.openFile(name, followingLink: true))
                : try holder.subdirectory(name)
            reference.withLock { $0.directory = directory }
            return directory
        }
    }
}
