// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import SystemPackage

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

extension Directory {
    /// Removes a name that is not a folder's (`unlinkat`); of a symbolic link, the link.
    package func removeFile(_ name: String) throws(SystemError) {
        try perform("unlinkat", to: "remove", on: name) { folder, name in unsafe unlinkat(folder, name, 0) }
    }

    /// Removes an empty folder; throws ENOTEMPTY otherwise.
    package func removeDirectory(_ name: String) throws(SystemError) {
        try perform("unlinkat", to: "remove the folder", on: name) { folder, name in
            unsafe unlinkat(folder, name, AT_REMOVEDIR)
        }
    }

    /// Removes a name with everything below it; throws ENOENT when nothing has the name.
    ///
    /// Symbolic links are removed, never followed. Folders without permission for their owner are made accessible
    /// first. What vanishes meanwhile is no error. A mounted file system is not entered (EXDEV). One descriptor is
    /// open at a time, however deep the tree: the way back up is `..`, and the folder found there must be the one left
    /// before, else it stops with ESTALE.
    package func removeTree(_ name: String) throws(SystemError) {
        guard Self.isComponent(name) else {
            // The gate's own message.
            return try removeFile(name)
        }
        guard try status(name).kind == .directory else {
            return try removeFile(name)
        }
        var removal = TreeRemoval(anchor: try status(), name: name)
        try removal.run(from: descriptor.rawValue)
    }
}

/// A removal on its way through a tree, depth first, without recursion.
private struct TreeRemoval {
    /// A folder between the anchor and the current one.
    private struct Level {
        /// What it must be when the walk comes back to it.
        let status: FileStatus

        /// The folders in it that are still to be removed; the last one is being emptied.
        var folders: [[UInt8]]
    }

    /// The path from the anchor to the current folder.
    private var levels: [Level]

    /// The name given by the caller, for messages.
    private let name: String

    init(anchor: FileStatus, name: String) {
        levels = [Level(status: anchor, folders: [Array(name.utf8)])]
        self.name = name
    }

    /// Removes the tree whose anchor is an open folder that belongs to the caller.
    mutating func run(from anchor: Int32) throws(SystemError) {
        // Nil stands for the anchor, which is borrowed.
        var current: OwnedDescriptor?
        while let folder = levels.last?.folders.last {
            let number = current?.rawValue ?? anchor
            if let opened = try openFolder(folder, in: number) {
                levels.append(Level(status: try prepare(opened), folders: try clear(opened)))
                current = consume opened
            } else {
                levels[levels.count - 1].folders.removeLast()
            }
            // Upwards while nothing is left here: the emptied folder goes from its parent.
            while levels.count > 1, levels[levels.count - 1].folders.isEmpty {
                levels.removeLast()
                if levels.count == 1 {
                    current = nil
                } else {
                    current = try openParent(of: current?.rawValue ?? anchor, expected: levels[levels.count - 1].status)
                }
                let emptied = levels[levels.count - 1].folders.removeLast()
                try remove(emptied, flags: AT_REMOVEDIR, in: current?.rawValue ?? anchor)
            }
        }
    }

    /// Opens a folder, with more permission if it must; nil when it is gone or was no folder and has been removed.
    private func openFolder(_ folder: [UInt8], in parent: Int32) throws(SystemError) -> OwnedDescriptor? {
        var outcome = call(folder) { name in unsafe descriptors_openat(parent, name, Directory.folderFlags, 0) }
        if case .failure(.permissionDenied) = outcome {
            _ = call(folder) { name in unsafe descriptors_make_folder_accessible(parent, name) }
            outcome = call(folder) { name in unsafe descriptors_openat(parent, name, Directory.folderFlags, 0) }
        }
        switch outcome {
        case .success(let number):
            return OwnedDescriptor(adopting: number)
        case .failure(.noSuchFileOrDirectory):
            return nil
        case .failure(.notDirectory), .failure(.tooManySymbolicLinkLevels):
            try remove(folder, flags: 0, in: parent)
            return nil
        case .failure(let errno):
            throw failed(errno, "openat", folder)
        }
    }

    /// Gives the owner the permissions that emptying needs, and tells what the folder is.
    private func prepare(_ folder: borrowing OwnedDescriptor) throws(SystemError) -> FileStatus {
        let status = try folder.status()
        guard status.device == levels[0].status.device else {
            throw SystemError(
                errno: .improperLink,
                call: "fstat",
                name: name,
                action: "remove",
                reason: "another file system is mounted in it"
            )
        }
        if status.mode & 0o700 != 0o700 {
            try folder.setMode(0o700)
        }
        return status
    }

    /// Removes everything but folders, and returns the names of those.
    private func clear(_ folder: borrowing OwnedDescriptor) throws(SystemError) -> [[UInt8]] {
        var folders: [[UInt8]] = []
        let number = folder.rawValue
        for entry in try Directory.entries(of: number) {
            switch entry.kind {
            case .directory, .unknown: folders.append(entry.name)
            default: try remove(entry.name, flags: 0, in: number)
            }
        }
        return folders
    }

    /// Goes up one level, to the folder that the walk came from and to no other.
    private func openParent(of number: Int32, expected: FileStatus) throws(SystemError) -> OwnedDescriptor {
        let parent = OwnedDescriptor(
            adopting: try SystemCall.run("openat", to: "remove", path: "..") { dots in
                unsafe descriptors_openat(number, dots, Directory.folderFlags, 0)
            }
        )
        guard try parent.status().isSameFile(as: expected) else {
            throw SystemError(
                errno: .staleNFSFileHandle,
                call: "openat",
                name: name,
                action: "remove",
                reason: "a folder in it was moved meanwhile"
            )
        }
        return parent
    }

    private func remove(_ entry: [UInt8], flags: Int32, in folder: Int32) throws(SystemError) {
        switch call(entry, { name in unsafe unlinkat(folder, name, flags) }) {
        case .success, .failure(.noSuchFileOrDirectory): return
        case .failure(let errno): throw failed(errno, "unlinkat", entry)
        }
    }

    /// Runs a call on raw bytes of a listing.
    @safe
    private func call(_ entry: [UInt8], _ body: (UnsafePointer<CChar>) -> Int32) -> Result<Int32, Errno> {
        let terminated = entry.map { CChar(bitPattern: $0) } + [0]
        return unsafe terminated.withUnsafeBufferPointer { buffer in
            guard let name = buffer.baseAddress else {
                return .failure(.invalidArgument)
            }
            return SystemCall.attempt { unsafe body(name) }
        }
    }

    private func failed(_ errno: Errno, _ call: String, _ entry: [UInt8]) -> SystemError {
        SystemError(errno: errno, call: call, name: String(decoding: entry, as: UTF8.self), action: "remove")
    }
}
