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

extension OwnedDescriptor {
    /// Sets the length; a longer file gets a hole at its end (`ftruncate`).
    package func truncate(to size: Int64) throws(SystemError) {
        try SystemCall.run("ftruncate", to: "set the length of the file") { ftruncate(rawValue, off_t(size)) }
    }

    /// Hands content and inode to the device (`fsync`).
    ///
    /// A failure means that written data may be gone; calling again proves nothing, so write again instead.
    package func synchronize() throws(SystemError) {
        try SystemCall.run("fsync", to: "make the file durable") { fsync(rawValue) }
    }

    /// As `synchronize()`, and on macOS also empties the drive's own cache (`F_FULLFSYNC`).
    package func synchronizeFully() throws(SystemError) {
        try SystemCall.run("fsync", to: "make the file durable") { descriptors_sync_fully(rawValue) }
    }

    /// Hands everything dirty on this file system to the device (`syncfs`); on macOS as `synchronizeFully()`.
    ///
    /// From Linux 5.8 it reports each write-back error since this descriptor was opened, so open one before the first
    /// write and hold it.
    package func synchronizeFileSystem() throws(SystemError) {
        try SystemCall.run("syncfs", to: "make the file system durable") { descriptors_sync_file_system(rawValue) }
    }

    /// The first offset at or after `offset` that holds data, or nil when only a hole or nothing follows (`SEEK_DATA`).
    ///
    /// Where the file system knows no holes the whole file is data. Moves the file position.
    package func nextData(from offset: Int64) throws(SystemError) -> Int64? {
        try seek(from: offset, toHole: false) { size in offset < size ? offset : nil }
    }

    /// The first offset at or after `offset` in a hole, or nil at or after the end of the file (`SEEK_HOLE`).
    ///
    /// The end of the file counts as a hole, so that data always has an end. Moves the file position.
    package func nextHole(from offset: Int64) throws(SystemError) -> Int64? {
        try seek(from: offset, toHole: true) { size in offset < size ? size : nil }
    }

    private func seek(
        from offset: Int64,
        toHole: Bool,
        orWithoutHoles fallback: (_ size: Int64) -> Int64?
    ) throws(SystemError) -> Int64? {
        precondition(offset >= 0, "an offset is not negative")
        switch SystemCall.attempt({ descriptors_seek(rawValue, offset, toHole ? 1 : 0) }) {
        case .success(let found):
            return found
        case .failure(.noSuchAddressOrDevice):
            return nil
        case .failure(let errno) where errno.meansUnsupported:
            return fallback(try status().size)
        case .failure(let errno):
            throw SystemError(errno: errno, call: "lseek", action: "look for holes")
        }
    }

    /// Asks the system to forget its cached pages of this file, so that the next read comes from the device.
    ///
    /// Only synchronized pages can go (`POSIX_FADV_DONTNEED`; on macOS `F_NOCACHE` and `MS_INVALIDATE`).
    package func dropCache() throws(SystemError) {
        try SystemCall.run("fadvise", to: "drop the cache of the file") { descriptors_drop_cache(rawValue) }
    }

    /// Says that the file will be read from front to back; a hint, so that a refusal changes nothing.
    package func adviseSequential() {
        _ = SystemCall.attempt { descriptors_advise_sequential(rawValue) }
    }
}
