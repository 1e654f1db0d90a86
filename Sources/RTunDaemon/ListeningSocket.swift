// SPDX-License-Identifier: MIT

import Descriptors
private import SystemPackage

/// A socket that this process bound, and the only one that it will ever remove.
final class ListeningSocket: Sendable {
    let descriptor: OwnedDescriptor
    private let folder: Directory
    private let name: String
    private let bound: FileStatus

    /// Binds, after removing what a dead daemon left: a socket of ours that refuses connections, nothing else.
    init(path: String) throws {
        let address = try UnixAddress(path: path)
        let slash = path.lastIndex(of: "/")
        name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        folder = try Self.openSafely(parent, for: path)
        if let old = try folder.statusIfPresent(name) {
            guard old.kind == .socket, old.owner == ProcessContext.effectiveUserID, Self.isDead(address) else {
                throw Supervisor.Fault.socketInUse(path)
            }
            try folder.removeFile(name)
        }
        descriptor = try UnixSocket.listen(at: address)
        bound = try folder.status(name)
    }

    /// Whoever may write to the folder could put a socket of his own in the place of ours.
    private static func openSafely(_ parent: String, for path: String) throws -> Directory {
        let folder: Directory
        do throws(SystemError) {
            folder = try Directory.open(parent, followingLinks: false)
        } catch {
            guard error.errno == .tooManySymbolicLinkLevels || error.errno == .notDirectory else { throw error }
            throw Supervisor.Fault.openFolder(path)
        }
        let status = try folder.status()
        guard status.owner == ProcessContext.effectiveUserID, status.mode & 0o022 == 0 else {
            throw Supervisor.Fault.openFolder(path)
        }
        return folder
    }

    /// Whether the name still stands for the socket that was bound here.
    var isInPlace: Bool {
        guard let now = try? folder.statusIfPresent(name) else { return false }
        return now.kind == .socket && now.isSameFile(as: bound)
    }

    /// Removes the socket file if it is still the one that was bound here.
    func remove() {
        if isInPlace { try? folder.removeFile(name) }
    }

    private static func isDead(_ address: UnixAddress) -> Bool {
        do throws(SystemError) {
            try UnixSocket.connect(to: address).close()
            return false
        } catch {
            return error.errno == .connectionRefused
        }
    }
}
