// SPDX-License-Identifier: MIT

internal import Codecs
package import Descriptors
private import Synchronization
private import SystemPackage

/// The staging folder of an earlier transfer of the same source that did not end: its files are moved, not copied,
/// into the staging of the transfer that goes on with it.
///
/// Held by its lock: no two transfers take the same one, and the owner of a running one keeps it.
package final class Donor: Sendable {
    let tree: Directory
    let journal: Journal
    private let home: Directory
    private let name: String
    private let lock: OwnedDescriptor
    /// The folder that was looked into last, with its path: neighbours share it.
    private let lastFolder = Mutex<(path: Substring, folder: Directory)?>(nil)

    /// All that nobody holds, whose name begins with `prefix`.
    package static func all(in destination: Directory, prefix: String) -> [Donor] {
        guard let home = try? destination.subdirectory(Staging.partFolderName), let entries = try? home.entries() else {
            return []
        }
        return entries.compactMap { entry in
            guard let name = String(validating: entry.name, as: UTF8.self), name.hasPrefix(prefix),
                Staging.isStagingName(name)
            else { return nil }
            return try? Donor(in: home, name: name)
        }
    }

    /// Whether there are any, held or not; takes no lock.
    package static func exists(in destination: Directory, prefix: String) -> Bool {
        guard let home = try? destination.subdirectory(Staging.partFolderName), let names = try? home.names() else {
            return false
        }
        return names.contains { name in
            name.starts(with: prefix.utf8) && Staging.isStagingName(String(decoding: name, as: UTF8.self))
        }
    }

    private init(in home: Directory, name: String) throws {
        self.home = home
        self.name = name
        let folder = try home.subdirectory(name)
        lock = try folder.openFile("lock", writable: true)
        guard try lock.lockExclusively() else { throw StagingError.inUse }
        tree = try folder.subdirectory("tree")
        // What is being published is not to be taken apart, and what a later version wrote is left alone.
        guard try !PublicationPlan.isSettled(in: folder) else { throw StagingError.inUse }
        journal = Journal(in: folder)
        guard !journal.isForeign else { throw StagingError.inUse }
    }

    /// A staged file that the journal knows.
    struct Found {
        let journalled: Journal.File
        let folder: Directory
        let name: String
        let status: FileStatus
        /// Nobody has touched it since its last record.
        var isUntouched: Bool { journalled.identity.matches(status) }
    }

    /// The staged file of that path; nil where there is none, or the journal does not know it.
    func file(at path: String) -> Found? {
        guard let journalled = journal.file(at: path) else { return nil }
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let name = slash.map { String(path[path.utf8.index(after: $0)...]) } ?? path
        do throws(SystemError) {
            let folder = try folder(at: slash.map { path[..<$0] } ?? "")
            guard let status = try folder.statusIfPresent(name), status.kind == .file else { return nil }
            return Found(journalled: journalled, folder: folder, name: name, status: status)
        } catch {
            return nil
        }
    }

    /// Reads a chunk that stands in some staged file; false where none holds it any more.
    func read(_ chunk: Journal.Chunk, into slab: Slab, digester: inout Digester) -> Bool {
        guard chunk.length <= slab.capacity else { return false }
        for place in journal.places(of: chunk) {
            guard let found = file(at: place.path), let file = try? found.folder.openFile(found.name) else { continue }
            let count = try? slab.withMutableBytes(0..<chunk.length) {
                (span: inout MutableRawSpan) throws(SystemError) in
                try file.read(into: &span, at: place.offset)
            }
            guard count == chunk.length else { continue }
            let digest = try? slab.withBytes(0..<chunk.length) { (bytes: RawSpan) throws(CodecError) in
                try digester.digest(bytes)
            }
            if digest == chunk.digest { return true }
        }
        return false
    }

    private func folder(at path: Substring) throws(SystemError) -> Directory {
        if let last = lastFolder.withLock({ $0 }), last.path.utf8.elementsEqual(path.utf8) { return last.folder }
        var folder = tree
        for part in path.split(separator: "/") { folder = try folder.subdirectory(String(part)) }
        let found = folder
        lastFolder.withLock { $0 = (path, found) }
        return folder
    }

    /// False where its files have all been taken, or none of what stands there was ever durable.
    package var isUseful: Bool { holdsJournalled(tree, below: "") }

    private func holdsJournalled(_ folder: Directory, below path: String) -> Bool {
        // What cannot be looked at stays until it has expired.
        guard let entries = try? folder.entries() else { return true }
        for entry in entries {
            guard let name = String(validating: entry.name, as: UTF8.self) else { continue }
            if entry.kind != .file, let inner = try? folder.subdirectory(name) {
                if holdsJournalled(inner, below: path + name + "/") { return true }
            } else if journal.file(at: path + name) != nil {
                return true
            }
        }
        return false
    }

    /// Gives up the lock: the next transfer may take what is left of it.
    package func letGo() {
        // Without the call the lock ends with this object.
        try? lock.unlock()
    }

    /// Removes what is left of it.
    package func remove() {
        // What cannot be removed now is removed when it has expired.
        try? Staging.removeAtOnce(name, in: home)
    }
}
