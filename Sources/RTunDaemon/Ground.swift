// SPDX-License-Identifier: MIT

package import Descriptors

/// A folder that receives, as it is when the worker starts: the inbox, or what the settings give a host.
///
/// The worker may write to these and to no other (`Wall`), and the desktop opens nothing that is not below one.
package struct Ground: Sendable {
    /// Absolute.
    package let path: String
    package let directory: Directory

    package init(path: String, directory: Directory) {
        self.path = path
        self.directory = directory
    }

    /// Opens a folder that the starting process has found good.
    package init(path: String) throws(SystemError) {
        self.init(path: path, directory: try Directory.open(path, followingLinks: false))
    }

    /// The inbox and the folders of all hosts, made where they are missing; one that cannot be used is left out, and
    /// its host refused until the configuration is read again.
    package static func all(_ inbox: Inbox, _ settings: Settings) -> [Ground] {
        var grounds = [Ground(path: inbox.path, directory: inbox.directory)]
        for path in settings.directories {
            guard let folder = try? inbox.folder(chosen: path), !grounds.contains(where: { $0.path == folder.path })
            else { continue }
            grounds.append(Ground(path: folder.path, directory: folder.directory))
        }
        return grounds
    }

    /// Whether every folder that the settings name is one of these, and has not been replaced since.
    static func cover(_ settings: Settings, by grounds: [Ground]) -> Bool {
        settings.directories.allSatisfy { path in
            var path = path
            while path.count > 1, path.hasSuffix("/") { path.removeLast() }
            return grounds.contains { $0.path == path && $0.isInPlace }
        }
    }

    /// Whether the path leads to the held folder still.
    package var isInPlace: Bool {
        guard let standing = try? Directory.open(path, followingLinks: false).status(),
            let held = try? directory.status()
        else { return false }
        return standing.isSameFile(as: held)
    }
}
