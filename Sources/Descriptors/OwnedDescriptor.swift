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

/// An open descriptor with exactly one owner.
///
/// Whoever holds the value holds the descriptor. Falling out of scope closes it and ignores what `close(2)` reports;
/// `close()` reports it. Sending it to another task is safe because the value moves.
package struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, for a call while this value lives; never close it and never keep it.
    package let rawValue: Int32

    /// Takes over a descriptor that nobody else will close.
    package init(adopting rawValue: Int32) {
        precondition(rawValue >= 0, "not a descriptor")
        self.rawValue = rawValue
    }

    deinit {
        descriptorClose(rawValue)
    }

    /// Gives the number away; the receiver, an event loop or a child process, closes it from now on.
    package consuming func relinquish() -> Int32 {
        let number = rawValue
        discard self
        return number
    }

    /// Closes, and throws what a file system kept until then, such as EIO, ENOSPC or EDQUOT over NFS.
    ///
    /// The descriptor is gone also when this throws; EINTR counts as closed (close(2)).
    package consuming func close() throws(SystemError) {
        let number = rawValue
        discard self
        guard descriptorClose(number) == -1 else {
            return
        }
        let errno = SystemCall.lastError
        if errno != .interrupted {
            throw SystemError(errno: errno, call: "close", action: "close the file")
        }
    }

    /// A second descriptor of the same open file, closed by its own owner (`fcntl` with `F_DUPFD_CLOEXEC`).
    package func duplicate() throws(SystemError) -> OwnedDescriptor {
        OwnedDescriptor(
            adopting: try SystemCall.run("fcntl", to: "duplicate a descriptor") { descriptors_duplicate(rawValue) }
        )
    }

    /// What the descriptor refers to (`fstat`).
    package func status() throws(SystemError) -> FileStatus {
        var status = stat()
        try SystemCall.run("fstat", to: "examine the open file") { unsafe fstat(rawValue, &status) }
        return FileStatus(status)
    }

    /// Sets the low 12 bits of the mode, whatever the umask (`fchmod`).
    package func setMode(_ mode: UInt32) throws(SystemError) {
        try SystemCall.run("fchmod", to: "set the mode") {
            fchmod(rawValue, mode_t(truncatingIfNeeded: mode & 0o7777))
        }
    }

    /// Sets the modification time to the nanosecond and leaves the access time alone (`futimens`).
    package func setModified(_ time: Timestamp) throws(SystemError) {
        try SystemCall.run("futimens", to: "set the modification time") {
            descriptors_set_modified(rawValue, time.seconds, time.nanoseconds)
        }
    }

    /// Makes or ends the mode in which a call that would wait fails with EAGAIN instead.
    package func setNonBlocking(_ enabled: Bool) throws(SystemError) {
        try SystemCall.run("fcntl", to: "change the blocking mode") {
            descriptors_set_nonblocking(rawValue, enabled ? 1 : 0)
        }
    }

    /// Locks the open file for this description alone, without waiting (`flock`); false when another one holds it.
    ///
    /// The lock ends when the last duplicate of this description is closed, also by the death of the process.
    package func lockExclusively() throws(SystemError) -> Bool {
        switch SystemCall.attempt({ descriptors_lock_exclusively(rawValue) }) {
        case .success: return true
        case .failure(.wouldBlock), .failure(.resourceTemporarilyUnavailable): return false
        case .failure(let errno): throw SystemError(errno: errno, call: "flock", action: "lock the file")
        }
    }

    /// Gives the lock up while the descriptor stays open (`flock`).
    package func unlock() throws(SystemError) {
        try SystemCall.run("flock", to: "unlock the file") { descriptors_unlock(rawValue) }
    }
}

/// `close(2)`, which no scope of the type can shadow.
@discardableResult
private func descriptorClose(_ number: Int32) -> Int32 {
    close(number)
}
