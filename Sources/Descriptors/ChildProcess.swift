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

/// How a process ended.
package enum Termination: Sendable, Hashable {
    /// It returned this code, 0 to 255.
    case exited(Int32)

    /// This signal killed it.
    case signalled(Int32)
}

/// A process that this one started and has to wait for.
///
/// The number stays this child's until `wait()` or `poll()` has returned its end. After that neither may be called
/// again, nor `signal(_:)`: the system may have given the number to another process.
package struct ChildProcess: Sendable, Hashable {
    package let processID: Int32

    /// Starts a program (`posix_spawn`) that shares nothing but the descriptors named.
    ///
    /// `arguments` come after the executable, which is its own argument 0; `environment` holds `NAME=value`.
    /// Each pair of `descriptors` says which number in the child a descriptor of this process becomes; pairs may
    /// exchange numbers. 0, 1 and 2 are `/dev/null` if not named. Everything else is closed, also what was opened
    /// without close-on-exec (macOS, and Linux with glibc 2.34 or later). Signals have their default action and none is
    /// blocked. With `newSession` the child leads a session without a terminal. The executable is an absolute path, or
    /// relative to `workingDirectory`, and is not looked up in `PATH`. Throws what `execve` reports, such as ENOENT.
    package static func spawn(
        executable: String,
        arguments: [String],
        environment: [String],
        descriptors: [(child: Int32, parent: Int32)] = [],
        newSession: Bool = false,
        workingDirectory: String? = nil
    ) throws(SystemError) -> ChildProcess {
        let texts = [executable] + arguments + environment + [workingDirectory ?? "/"]
        guard !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw SystemError(
                errno: .invalidArgument,
                call: "posix_spawn",
                name: executable,
                action: "run",
                reason: "an argument or a variable holds NUL"
            )
        }
        precondition(descriptors.allSatisfy { $0.child >= 0 && $0.parent >= 0 }, "not a descriptor")
        precondition(Set(descriptors.map { $0.child }).count == descriptors.count, "a number in the child named twice")

        guard let request = unsafe descriptors_spawn_request_new(executable) else {
            throw SystemError(errno: .noMemory, call: "posix_spawn", name: executable, action: "run")
        }
        defer {
            unsafe descriptors_spawn_request_free(request)
        }
        for argument in arguments {
            unsafe descriptors_spawn_request_add_argument(request, argument)
        }
        for assignment in environment {
            unsafe descriptors_spawn_request_add_variable(request, assignment)
        }
        for pair in descriptors {
            unsafe descriptors_spawn_request_add_descriptor(request, pair.child, pair.parent)
        }
        if let workingDirectory {
            unsafe descriptors_spawn_request_set_directory(request, workingDirectory)
        }
        var process: Int32 = -1
        let error = unsafe descriptors_spawn(request, newSession ? 1 : 0, &process)
        guard error == 0 else {
            throw SystemError(errno: Errno(rawValue: error), call: "posix_spawn", name: executable, action: "run")
        }
        return ChildProcess(processID: process)
    }

    /// Waits for the end, blocking this thread (`waitpid`).
    package func wait() throws(SystemError) -> Termination {
        while true {
            if let termination = try check(blocking: true) {
                return termination
            }
        }
    }

    /// How it ended, or nil while it runs.
    package func poll() throws(SystemError) -> Termination? {
        try check(blocking: false)
    }

    /// Sends it a signal (`kill`).
    package func signal(_ number: Int32) throws(SystemError) {
        try SystemCall.run("kill", to: "signal the child process") { kill(processID, number) }
    }

    private func check(blocking: Bool) throws(SystemError) -> Termination? {
        var wasSignalled: Int32 = 0
        var value: Int32 = 0
        let found = try SystemCall.run("waitpid", to: "wait for the child process") {
            unsafe descriptors_wait(processID, blocking ? 1 : 0, &wasSignalled, &value)
        }
        guard found != 0 else {
            return nil
        }
        return wasSignalled != 0 ? .signalled(value) : .exited(value)
    }
}
