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
    /// Renames a name of this folder to a name in `target`, and replaces what has that name (`renameat`).
    package func rename(_ name: String, to newName: String, in target: Directory) throws(SystemError) {
        try perform(.init("renameat", "rename"), name, newName, in: target) { from, name, to, newName in
            unsafe renameat(from, name, to, newName)
        }
    }

    /// Renames a name of this folder to a name in `target` that nothing has; throws EEXIST otherwise.
    ///
    /// Atomic where the kernel and the file system know how (Linux 3.15 `RENAME_NOREPLACE`, macOS `RENAME_EXCL`);
    /// elsewhere it goes the way of `renameByLinking(_:to:in:)`.
    package func renameWithoutReplacing(_ name: String, to newName: String, in target: Directory) throws(SystemError) {
        do throws(SystemError) {
            try perform(.init("renameat2", "rename"), name, newName, in: target) { from, name, to, newName in
                unsafe descriptors_rename_exclusively(from, name, to, newName)
            }
        } catch {
            guard error.errno.meansUnsupported else { throw error }
            try renameByLinking(name, to: newName, in: target)
        }
    }

    /// What `renameWithoutReplacing` does where the system has no call for it; throws EEXIST as well.
    ///
    /// Anything but a folder gets the new name by `linkat`, which refuses an existing one atomically, and then loses
    /// the old one; a crash in between leaves both names. A folder cannot be linked: it is renamed after a look that
    /// nothing has the name. What appears between look and rename can be lost only if it is an empty folder, since
    /// `renameat` refuses to put a folder over anything else. The same look must do for files where the file system
    /// has no hard links (exFAT, some FUSE); there a file that appears in that instant is replaced.
    package func renameByLinking(_ name: String, to newName: String, in target: Directory) throws(SystemError) {
        if try status(name).kind != .directory {
            do throws(SystemError) {
                try perform(.init("linkat", "rename"), name, newName, in: target) { from, name, to, newName in
                    unsafe linkat(from, name, to, newName, 0)
                }
                return try removeFile(name)
            } catch {
                guard error.errno.meansUnsupported || error.errno == .notPermitted else { throw error }
                // No hard links here, or none to this file.
            }
        }
        guard try target.statusIfPresent(newName) == nil else {
            throw SystemError(errno: .fileExists, call: "renameat", name: newName, action: "rename to")
        }
        try rename(name, to: newName, in: target)
    }

    /// Swaps what two names stand for, atomically (`RENAME_EXCHANGE`, `RENAME_SWAP`); both must exist.
    ///
    /// Throws ENOTSUP, and changes nothing, where the kernel or the file system cannot; there is no other way to do it.
    package func exchange(_ name: String, with otherName: String, in target: Directory) throws(SystemError) {
        do throws(SystemError) {
            try perform(.init("renameat2", "exchange"), name, otherName, in: target) { from, name, to, otherName in
                unsafe descriptors_exchange(from, name, to, otherName)
            }
        } catch {
            guard error.errno.meansUnsupported else { throw error }
            throw SystemError(errno: .notSupported, call: error.call, name: name, action: error.action)
        }
    }

    /// Makes a second name, `name` in this folder, for the file `existing` in `source` (`linkat`).
    ///
    /// Throws EEXIST when anything has the name. If `existing` is a symbolic link, Linux links the link itself.
    package func makeLink(_ name: String, to existing: String, in source: Directory) throws(SystemError) {
        try source.perform(.init("linkat", "link"), existing, name, in: self) { from, existing, to, name in
            unsafe linkat(from, existing, to, name, 0)
        }
    }

    /// Makes a symbolic link that holds `target` as it is; throws EEXIST when anything has the name (`symlinkat`).
    package func makeSymlink(_ name: String, target: String) throws(SystemError) {
        guard !target.utf8.contains(0) else {
            throw SystemError(
                errno: .invalidArgument,
                call: "symlinkat",
                name: name,
                action: "create the link",
                reason: "its target holds NUL"
            )
        }
        try perform("symlinkat", to: "create the link", on: name) { folder, name in
            unsafe target.withCString { target in unsafe symlinkat(target, folder, name) }
        }
    }

    /// The C function of a call with two names, and the verb for its error.
    private struct TwoNameCall {
        let function: String
        let action: String

        init(_ function: String, _ action: String) {
            self.function = function
            self.action = action
        }
    }

    /// Runs a call that takes a name of this folder and a name of another; an error about either names the first.
    @safe
    private func perform(
        _ call: TwoNameCall,
        _ name: String,
        _ otherName: String,
        in other: Directory,
        _ body: (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>) -> Int32
    ) throws(SystemError) {
        guard Self.isComponent(otherName) else {
            throw SystemError(
                errno: .invalidArgument,
                call: call.function,
                name: otherName,
                action: call.action + " to",
                reason: "it is not one plain name"
            )
        }
        let otherFolder = other.descriptor.rawValue
        try perform(call.function, to: call.action, on: name) { folder, name in
            unsafe otherName.withCString { otherName in unsafe body(folder, name, otherFolder, otherName) }
        }
    }
}
