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
        folder = try Directory.open(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".")
        if let old = try folder.statusIfPresent(name) {
            guard old.kind == .socket, old.owner == ProcessContext.effectiveUserID, Self.isDead(address) else {
                throw Supervisor.Fault.socketInUse(path)
            }
            try folder.removeFile(name)
        }
        descriptor = try UnixSocket.listen(at: address)
        bound = try folder.status(name)
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
