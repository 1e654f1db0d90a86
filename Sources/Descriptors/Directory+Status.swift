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

/// Space of a file system.
package struct FileSystemSpace: Sendable, Hashable {
    /// Its size in bytes.
    package let total: UInt64

    /// Bytes that an ordinary user may still write.
    package let available: UInt64

    /// Files that may still be made; `UInt64.max` where the file system does not count them.
    package let freeNodes: UInt64
}

extension Directory {
    /// What this folder is (`fstat`).
    package func status() throws(SystemError) -> FileStatus {
        try descriptor.status()
    }

    /// What a name in this folder stands for (`fstatat`), the link itself if it is a symbolic link.
    package func status(_ name: String, followingLink: Bool = false) throws(SystemError) -> FileStatus {
        var status = stat()
        let flags = followingLink ? 0 : AT_SYMLINK_NOFOLLOW
        try perform("fstatat", to: "examine", on: name) { folder, name in
            unsafe fstatat(folder, name, &status, flags)
        }
        return FileStatus(status)
    }

    /// As `status(_:)`, and nil when nothing has the name (ENOENT); every other failure is thrown.
    package func statusIfPresent(_ name: String) throws(SystemError) -> FileStatus? {
        do throws(SystemError) {
            return try status(name)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }

    /// The target of a symbolic link, as it is written in it (`readlinkat`).
    ///
    /// Throws EINVAL when the name is no link, and EILSEQ when the target is not valid UTF-8.
    package func readLink(_ name: String) throws(SystemError) -> String {
        var capacity = 1024
        while true {
            var buffer = [CChar](repeating: 0, count: capacity)
            let length = try perform("readlinkat", to: "read the link", on: name) { folder, name in
                unsafe readlinkat(folder, name, &buffer, capacity)
            }
            // A full buffer may hold a cut target; no system allows targets near the upper bound.
            if length == capacity, capacity < 1 << 20 {
                capacity *= 4
                continue
            }
            let bytes = buffer.prefix(length).lazy.map { UInt8(bitPattern: $0) }
            guard let target = String(validating: bytes, as: UTF8.self) else {
                throw SystemError(errno: .illegalByteSequence, call: "readlinkat", name: name, action: "read the link")
            }
            return target
        }
    }

    /// Space of the file system that holds this folder (`fstatvfs`).
    package func space() throws(SystemError) -> FileSystemSpace {
        var space = descriptors_space()
        try SystemCall.run("fstatvfs", to: "ask for the free space") {
            unsafe descriptors_file_system_space(descriptor.rawValue, &space)
        }
        return FileSystemSpace(total: space.total, available: space.available, freeNodes: space.free_nodes)
    }

    /// Whether the folder is reached over a network, a cluster file system or FUSE (`fstatfs`).
    package func isOnNetworkFileSystem() throws(SystemError) -> Bool {
        try SystemCall.run("fstatfs", to: "ask for the kind of file system") {
            descriptors_is_network_file_system(descriptor.rawValue)
        } == 1
    }
}
