// SPDX-License-Identifier: MIT

private import Descriptors

/// What may be opened: files in the view folder of an inbox, and folders in an inbox.
///
/// The inboxes are given when the process starts and held open; whoever asks cannot add one.
package struct DesktopPlaces: Sendable {
    private let inboxes: [Ground]

    package init(_ inboxes: [Ground]) { self.inboxes = inboxes }

    /// Whether the path is that of a file as `Delivery.view` publishes them: in a view folder, of a kind that can be
    /// viewed, and no program by its mode.
    func isViewedFile(_ path: String) -> Bool {
        guard let (folder, name) = holder(of: path), let dot = name.lastIndex(of: "."),
            let type = ViewType(fileExtension: String(name[name.index(after: dot)...])),
            // A page stands in a folder of its own, with what is beside it.
            (type == .html ? [folder.last, folder.dropLast().last] : [folder.last]).contains(Delivery.viewFolderName),
            let directory = descend(path, folder), let status = try? directory.status(name)
        else { return false }
        return status.kind == .file && status.mode & 0o111 == 0 && status.owner == ProcessContext.effectiveUserID
    }

    /// Whether the path is that of an inbox or of a folder in one, without a link on the way.
    ///
    /// On macOS a folder with an ending may be a program.
    func isFolder(_ path: String) -> Bool {
        guard let (_, components) = split(path), let directory = descend(path, components) else { return false }
        #if os(macOS)
        if components.contains(where: { $0.contains(".") }) { return false }
        #endif
        return (try? directory.status())?.owner == ProcessContext.effectiveUserID
    }

    private func holder(of path: String) -> (folder: [String], name: String)? {
        guard !path.hasSuffix("/"), var (_, components) = split(path), let name = components.popLast() else {
            return nil
        }
        return (components, name)
    }

    /// The innermost inbox that is a prefix of the path, and the names below it.
    private func split(_ path: String) -> (ground: Ground, components: [String])? {
        guard !path.utf8.contains(0) else { return nil }
        let found = inboxes.filter { path == $0.path || path.hasPrefix($0.path + "/") }
        guard let ground = found.max(by: { $0.path.utf8.count < $1.path.utf8.count }) else { return nil }
        let names = path.dropFirst(ground.path.count).split(separator: "/").map(String.init)
        return names.contains { $0 == "." || $0 == ".." } ? nil : (ground, names)
    }

    /// Opens what is below the inbox, name by name; nil where something is no folder, or the inbox stands elsewhere.
    private func descend(_ path: String, _ components: [String]) -> Directory? {
        guard let (ground, _) = split(path), ground.isInPlace else { return nil }
        var directory = ground.directory
        for component in components {
            guard let next = try? directory.subdirectory(component) else { return nil }
            directory = next
        }
        return directory
    }
}
