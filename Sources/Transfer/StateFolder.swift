// SPDX-License-Identifier: MIT

private import Archive
private import Codecs
package import Descriptors
private import SystemPackage

/// `~/.rtun`, or `$RTUN_DIR`: sockets, keys and logs of one side.
///
/// Mode 0700 from the moment it exists.
package struct StateFolder: Sendable {
    /// Absolute.
    package let path: String
    package let directory: Directory

    /// What is wrong with the folder, in a sentence for the user.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// Opens the folder, making it if it is missing.
    ///
    /// Refuses one that is a symlink, belongs to somebody else, or that others may write: whoever can write here
    /// can put a socket of his own in the place of ours.
    package init() throws {
        if let path = ProcessContext.environment("RTUN_DIR"), !path.isEmpty {
            try self.init(at: path)
        } else if let home = ProcessContext.environment("HOME"), home.hasPrefix("/") {
            try self.init(at: home + "/.rtun")
        } else {
            throw Fault(description: "neither RTUN_DIR nor HOME says where rtun keeps its files")
        }
    }

    /// As `init()`, at this path.
    package init(at path: String) throws {
        let path = try Self.absolute(path)
        self.path = path
        directory = try Self.openOrMake(path)
        let status = try directory.status()
        guard status.owner == ProcessContext.effectiveUserID else {
            throw Fault(description: "\(path) belongs to another user")
        }
        guard status.mode & 0o022 == 0 else {
            throw Fault(description: "others may write to \(path); run: chmod 700 \(path)")
        }
        if status.mode & 0o077 != 0 { try directory.setMode(0o700) }
    }

    /// 32 random bytes that are this server's name towards laptops; made on first use, nil where that fails.
    package func sourceKey() -> [UInt8]? {
        do {
            if let key = try directory.readSmallFile("source-key", atMost: 32), key.count == 32 { return key }
            try directory.makeSmallFile("source-key", RandomBytes.make(32))
            return try directory.readSmallFile("source-key", atMost: 32)
        } catch {
            // A home that cannot be written costs what is remembered of earlier sends, not the send.
            return nil
        }
    }

    /// Absolute, and without slashes at the end: behind one the system would follow a symlink.
    private static func absolute(_ path: String) throws -> String {
        var path = path.hasPrefix("/") ? path : try ProcessContext.currentDirectory() + "/" + path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// Makes the folder if it is missing; only the last part of the path may be.
    private static func openOrMake(_ path: String) throws -> Directory {
        let failure: SystemError
        do throws(SystemError) {
            return try Directory.open(path, followingLinks: false)
        } catch {
            failure = error
        }
        switch failure.errno {
        case .noSuchFileOrDirectory:
            let parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
            guard let name = parts.last else { throw failure }
            let parent = parts.dropLast().joined(separator: "/")
            let start = path.hasPrefix("/") ? "/" + parent : parent.isEmpty ? "." : parent
            return try Directory.open(start).openOrMakeDirectory(name)
        case .tooManySymbolicLinkLevels, .notDirectory:
            throw Fault(description: "\(path) is a symlink or no folder; rtun keeps its sockets in a folder of its own")
        default: throw failure
        }
    }
}
