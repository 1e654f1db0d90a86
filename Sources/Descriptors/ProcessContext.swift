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

/// What a process knows about itself and its surroundings.
package enum ProcessContext {
    /// The user whose rights this process has.
    package static var effectiveUserID: UInt32 { geteuid() }

    package static var processID: Int32 { getpid() }

    /// The name of this host (`gethostname`).
    package static func hostName() throws(SystemError) -> String {
        try text(capacity: 1025, "gethostname", to: "learn the name of this host") { buffer, capacity in
            unsafe gethostname(buffer, capacity)
        }
    }

    /// The value of an environment variable; nil when it is not set or not valid UTF-8.
    package static func environment(_ name: String) -> String? {
        unsafe getenv(name).flatMap { unsafe String(validatingCString: $0) }
    }

    /// Every environment variable as `NAME=value`, for a child process; those that are not valid UTF-8 are left out.
    package static var allEnvironment: [String] {
        var result: [String] = []
        var next = unsafe descriptors_environment()
        while let assignment = unsafe next.pointee {
            if let text = unsafe String(validatingCString: assignment) {
                result.append(text)
            }
            unsafe next += 1
        }
        return result
    }

    /// The file that this process runs, with the links in its path resolved.
    package static func executablePath() throws(SystemError) -> String {
        let path = try text(capacity: 1 << 15, "readlink", to: "find the running executable") { buffer, capacity in
            unsafe descriptors_executable_path(buffer, capacity)
        }
        #if canImport(Darwin)
        return try realPath(of: path)
        #else
        return path
        #endif
    }

    /// A path under which a child process of this one finds the same program, though its file was replaced meanwhile.
    package static var runningProgram: String {
        #if canImport(Darwin)
        (try? executablePath()) ?? CommandLine.arguments[0]
        #else
        (try? Directory.open("/proc/self")) == nil ? CommandLine.arguments[0] : "/proc/self/exe"
        #endif
    }

    /// Whether a process group still has a member (`kill` with signal 0).
    package static func isGroupAlive(_ leader: Int32) -> Bool { leader > 1 && kill(-leader, 0) == 0 }

    /// The folder against which relative paths count (`getcwd`).
    package static func currentDirectory() throws(SystemError) -> String {
        try text(capacity: 1 << 15, "getcwd", to: "find the current folder") { buffer, capacity in
            unsafe getcwd(buffer, capacity) == nil ? -1 : 0
        }
    }

    /// The absolute path without links, `.` and `..` (`realpath`).
    ///
    /// It is true at one moment only: for what the user typed on the sending side, never for a decision about safety.
    package static func realPath(of path: String) throws(SystemError) -> String {
        var resolved: UnsafeMutablePointer<CChar>?
        try SystemCall.run("realpath", to: "resolve", path: path) { path in
            unsafe resolved = realpath(path, nil)
            return unsafe resolved == nil ? -1 : 0
        }
        defer {
            unsafe free(resolved)
        }
        guard let found = unsafe resolved.flatMap({ unsafe String(validatingCString: $0) }) else {
            throw SystemError(errno: .illegalByteSequence, call: "realpath", name: path, action: "resolve")
        }
        return found
    }

    /// An identifier that changes with every start of this machine.
    package static func bootIdentifier() throws(SystemError) -> String {
        try text(capacity: 128, "boot_id", to: "learn which boot this is") { buffer, capacity in
            unsafe descriptors_boot_identifier(buffer, capacity)
        }
    }

    /// Runs a call that fills a buffer with a C string.
    @safe
    private static func text(
        capacity: Int,
        _ call: String,
        to action: String,
        _ body: (UnsafeMutablePointer<CChar>, Int) -> Int32
    ) throws(SystemError) -> String {
        let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
        unsafe buffer.initialize(repeating: 0, count: capacity)
        defer {
            unsafe buffer.deallocate()
        }
        // One byte less, so that the text ends even if the call does not terminate it.
        try SystemCall.run(call, to: action) { unsafe body(buffer, capacity - 1) }
        guard let text = unsafe String(validatingCString: buffer) else {
            throw SystemError(errno: .illegalByteSequence, call: call, action: action)
        }
        return text
    }
}
