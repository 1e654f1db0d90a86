// SPDX-License-Identifier: MIT

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// What a name stands for.
package enum FileKind: UInt8, Sendable {
    // The raw values are shared with `file_kind` in CDescriptors.c.
    case file = 0
    case directory = 1
    case symlink = 2
    case fifo = 3
    case socket = 4
    case characterDevice = 5
    case blockDevice = 6
    case unknown = 7

    init(fileMode mode: mode_t) {
        switch mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .directory
        case S_IFLNK: self = .symlink
        case S_IFIFO: self = .fifo
        case S_IFSOCK: self = .socket
        case S_IFCHR: self = .characterDevice
        case S_IFBLK: self = .blockDevice
        default: self = .unknown
        }
    }
}

/// What `fstat(2)` tells about a file.
package struct FileStatus: Sendable, Hashable {
    package let kind: FileKind

    /// The file system, as a number that differs between nodes and mounts.
    package let device: UInt64

    package let inode: UInt64

    /// Length in bytes.
    package let size: Int64

    /// Permission bits, set-id bits and the sticky bit: the low 12 bits of `st_mode`.
    package let mode: UInt32

    /// Names of this inode.
    package let linkCount: UInt64

    /// User id of the owner.
    package let owner: UInt32

    /// Time of the last change of the content (`st_mtim`).
    package let modified: Timestamp

    /// Time of the last change of content or inode (`st_ctim`), which no user can set.
    package let changed: Timestamp

    /// Space on the device in units of 512 bytes; less than the size where the file has holes.
    package let allocatedBlocks: Int64

    /// Whether two statuses speak of one inode of one file system.
    package func isSameFile(as other: FileStatus) -> Bool {
        inode == other.inode && device == other.device
    }

    init(_ status: stat) {
        kind = FileKind(fileMode: status.st_mode)
        device = UInt64(truncatingIfNeeded: status.st_dev)
        inode = UInt64(truncatingIfNeeded: status.st_ino)
        size = Int64(status.st_size)
        mode = UInt32(status.st_mode) & 0o7777
        linkCount = UInt64(status.st_nlink)
        owner = UInt32(status.st_uid)
        #if canImport(Darwin)
        modified = Timestamp(status.st_mtimespec)
        changed = Timestamp(status.st_ctimespec)
        #else
        modified = Timestamp(status.st_mtim)
        changed = Timestamp(status.st_ctim)
        #endif
        allocatedBlocks = Int64(status.st_blocks)
    }
}
