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

/// An open folder, from which files are reached by one name at a time.
///
/// Every method takes one path component and passes it to the `…at` call of the system with this folder's descriptor, so
/// neither a renamed parent nor a planted symbolic link can lead it elsewhere. A component that is empty, `.`, `..` or
/// holds `/` or NUL is refused with EINVAL. Symbolic links are never followed, except where a parameter asks for it.
/// Several tasks may use one value at once; the descriptor closes with the last reference.
package final class Directory: Sendable {
    /// The descriptor, lent for calls on the folder itself: locks, `synchronizeFileSystem()`, times.
    package let descriptor: OwnedDescriptor

    /// Takes over the descriptor of a folder.
    package init(adopting descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// Opens the anchor of a tree by its path (`O_DIRECTORY`).
    ///
    /// Without `followingLinks` a symbolic link as the last component is refused; links before it are followed always.
    package static func open(_ path: String, followingLinks: Bool = true) throws(SystemError) -> Directory {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (followingLinks ? 0 : O_NOFOLLOW)
        let number = try SystemCall.run("open", to: "open the folder", path: path) { path in
            unsafe descriptors_openat(AT_FDCWD, path, flags, 0)
        }
        return Directory(adopting: OwnedDescriptor(adopting: number))
    }

    /// Opens a folder in this one.
    package func subdirectory(_ name: String) throws(SystemError) -> Directory {
        Directory(adopting: try open(name, Self.folderFlags, mode: 0, to: "open the folder"))
    }

    /// Makes a folder, and throws EEXIST when anything has its name (`mkdirat`); the umask applies to the mode.
    package func makeDirectory(_ name: String, mode: UInt32 = 0o700) throws(SystemError) {
        try perform("mkdirat", to: "create the folder", on: name) { folder, name in
            unsafe mkdirat(folder, name, mode_t(truncatingIfNeeded: mode & 0o7777))
        }
    }

    /// Opens a folder in this one and makes it before that if nothing has its name.
    package func openOrMakeDirectory(_ name: String, mode: UInt32 = 0o700) throws(SystemError) -> Directory {
        do throws(SystemError) {
            return try subdirectory(name)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            do throws(SystemError) {
                try makeDirectory(name, mode: mode)
            } catch {
                guard error.errno == .fileExists else { throw error }
                // Somebody else was quicker; what it is, the opening tells.
            }
            return try subdirectory(name)
        }
    }

    /// Makes a file that did not exist, open for reading and writing (`O_CREAT | O_EXCL`); the umask applies.
    ///
    /// Throws EEXIST when anything has the name, also a symbolic link that leads nowhere.
    package func createFile(_ name: String, mode: UInt32 = 0o600) throws(SystemError) -> OwnedDescriptor {
        try open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode: mode, to: "create")
    }

    /// Opens what exists, without ever waiting: a FIFO without a writer opens at once.
    ///
    /// The descriptor is non-blocking, which regular files ignore. ELOOP says that the name is a symbolic link;
    /// `followingLink` follows it and is for trees that the user named, never for those that a peer wrote.
    package func openFile(
        _ name: String,
        writable: Bool = false,
        followingLink: Bool = false
    ) throws(SystemError) -> OwnedDescriptor {
        let access = writable ? O_RDWR : O_RDONLY
        let flags = access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (followingLink ? 0 : O_NOFOLLOW)
        return try open(name, flags, mode: 0, to: "open")
    }

    /// Opens a file whose writes all go to its end, and makes it if nothing has its name (`O_APPEND`).
    package func openForAppending(_ name: String, mode: UInt32 = 0o600) throws(SystemError) -> OwnedDescriptor {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        return try open(name, flags, mode: mode, to: "open for appending")
    }

    /// Sets the low 12 bits of this folder's mode, whatever the umask.
    package func setMode(_ mode: UInt32) throws(SystemError) {
        try descriptor.setMode(mode)
    }

    /// Sets this folder's modification time to the nanosecond.
    package func setModified(_ time: Timestamp) throws(SystemError) {
        try descriptor.setModified(time)
    }

    /// Sets the modification time of what has this name, of a symlink itself (`utimensat` with no-follow).
    package func setModified(_ time: Timestamp, of name: String) throws(SystemError) {
        try perform("utimensat", to: "set the modification time", on: name) { folder, name in
            unsafe descriptors_set_modified_at(folder, name, time.seconds, time.nanoseconds)
        }
    }

    /// Makes the names in this folder durable (`fsync`).
    package func synchronize() throws(SystemError) {
        try descriptor.synchronize()
    }

    static var folderFlags: Int32 { O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC }

    private func open(
        _ name: String,
        _ flags: Int32,
        mode: UInt32,
        to action: String
    ) throws(SystemError) -> OwnedDescriptor {
        let number = try perform("openat", to: action, on: name) { folder, name in
            unsafe descriptors_openat(folder, name, flags, mode & 0o7777)
        }
        return OwnedDescriptor(adopting: number)
    }

    /// Runs a call on one component of this folder; the way of every method that takes a name.
    @safe @discardableResult
    func perform<Value: FixedWidthInteger & SignedInteger>(
        _ call: String,
        to action: String,
        on name: String,
        _ body: (_ folder: Int32, _ name: UnsafePointer<CChar>) -> Value
    ) throws(SystemError) -> Value {
        guard Self.isComponent(name) else {
            throw SystemError(
                errno: .invalidArgument,
                call: call,
                name: name,
                action: action,
                reason: "it is not one plain name"
            )
        }
        let folder = descriptor.rawValue
        return try SystemCall.run(call, to: action, path: name) { name in unsafe body(folder, name) }
    }

    /// Whether the text names something directly in a folder.
    static func isComponent(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { bytes in
            guard let start = bytes.baseAddress, !bytes.isEmpty else { return false }
            if unsafe bytes.count <= 2, bytes.allSatisfy({ $0 == UInt8(ascii: ".") }) { return false }
            return unsafe memchr(start, Int32(UInt8(ascii: "/")), bytes.count) == nil
                && memchr(start, 0, bytes.count) == nil
        }
    }
}
