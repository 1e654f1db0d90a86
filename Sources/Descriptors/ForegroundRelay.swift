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

/// Runs commands in this process's own place: same process group, terminal, descriptors, signals.
///
/// One for a process, made before any thread is, and used by one thread: it forks. Signals that this process gets from
/// others are passed on to the command; those of a terminal reach the command by themselves, as it is in the same
/// group. When the command stops (Ctrl-Z) this process stops as well, so that the shell sees a stopped job.
package struct ForegroundRelay: ~Copyable {
    /// A program and what it gets.
    package enum Command {
        /// Argument 0 and the rest of this process's own command line from a position on, byte for byte.
        case ownArguments(from: Int)
        /// A file, looked up on `PATH` unless it holds a slash, and the arguments after argument 0.
        case program(String, name: String, [String])
    }

    /// Descriptors of the command; nil is the same as this process has.
    package struct Streams {
        package var input: Int32?
        package var output: Int32?
        package var error: Int32?

        package init(input: Int32? = nil, output: Int32? = nil, error: Int32? = nil) {
            self.input = input
            self.output = output
            self.error = error
        }
    }

    /// Why a wait returned.
    package enum Event: Equatable {
        case ended(Termination)
        /// The descriptor that was watched has bytes, or its end.
        case readable
        /// The terminal has another size.
        case resized
        /// This process was told to end (SIGHUP, SIGINT, SIGQUIT, SIGTERM), and the command was told so too.
        case toldToEnd
        case timeout
    }

    private let signals: OwnedDescriptor
    private var process: Int32 = -1

    /// Begins to catch signals.
    ///
    /// With `keepsTerminalOutput` this process writes to the terminal for the command, and stops as one that writes
    /// from the background does (`stty tostop`).
    package init(keepsTerminalOutput: Bool) throws(SystemError) {
        signals = OwnedDescriptor(
            adopting: try SystemCall.run("sigaction", to: "catch signals") {
                descriptors_relay_start(keepsTerminalOutput ? 1 : 0)
            }
        )
    }

    /// Starts a command; what `execvp` reports is thrown, such as ENOENT.
    ///
    /// With `newSession` no terminal and no group signal reaches it.
    package mutating func start(
        _ command: Command,
        _ streams: Streams = Streams(),
        newSession: Bool = false
    ) throws(SystemError) {
        var started: Int32 = -1
        let error = Self.withArguments(of: command) { file, arguments in
            unsafe descriptors_relay_spawn(
                file,
                arguments,
                streams.input ?? -1,
                streams.output ?? -1,
                streams.error ?? -1,
                newSession ? 1 : 0,
                &started
            )
        }
        guard error == 0 else { throw SystemError(errno: Errno(rawValue: error), call: "execvp", action: "run") }
        process = started
    }

    /// Becomes the command (`execvp`); returns only when that fails.
    package static func replace(with command: Command) -> SystemError {
        let error = withArguments(of: command) { file, arguments in
            unsafe descriptors_relay_replace(file, arguments)
        }
        return SystemError(errno: Errno(rawValue: error), call: "execvp", action: "run")
    }

    /// Waits for the command that was started last, for bytes on a descriptor, or for `milliseconds` (nil: for ever).
    package mutating func wait(watching watched: Int32? = nil, milliseconds: Int32? = nil) throws(SystemError) -> Event
    {
        while true {
            if let ending = try check() { return .ended(ending) }
            let ready = try SystemCall.run("poll", to: "wait for the command") {
                descriptors_wait_either(signals.rawValue, watched ?? -1, milliseconds ?? -1)
            }
            if ready & 1 != 0, let event = passOn() { return event }
            if ready & 2 != 0 { return .readable }
            if ready == 0, milliseconds != nil { return .timeout }
        }
    }

    /// Ends the command at once (SIGKILL) and reaps it.
    package mutating func kill() throws(SystemError) {
        guard process > 0 else { return }
        systemKill(process, SIGKILL)
        while try check() == nil {
            try SystemCall.run("poll", to: "wait for the command") { descriptors_wait_either(-1, -1, 5) }
        }
    }

    /// Takes a signal's default action: this process ends as the command did.
    package static func end(by signal: Int32) { descriptors_relay_act(signal) }

    /// Passes on what was caught since the last call; the event that the owner has to know of.
    private func passOn() -> Event? {
        var event: Event?
        var number: Int32 = 0
        var isFromProcess: Int32 = 0
        while unsafe descriptors_relay_next(signals.rawValue, &number, &isFromProcess) != 0 {
            switch number {
            case SIGCHLD: continue
            case SIGWINCH: event = event ?? .resized
            case SIGHUP, SIGINT, SIGQUIT, SIGTERM: event = .toldToEnd
            default: break
            }
            // It may have ended just now; then there is nobody to tell.
            if isFromProcess != 0, process > 0 { systemKill(process, number) }
        }
        return event
    }

    /// How it ended, or nil; stops this process with it.
    private mutating func check() throws(SystemError) -> Termination? {
        guard process > 0 else { return nil }
        var value: Int32 = 0
        let found = try SystemCall.run("waitpid", to: "wait for the command") {
            unsafe descriptors_relay_check(process, &value)
        }
        switch found {
        case 1: return ended(.exited(value))
        case 2: return ended(.signalled(value))
        // SIGSTOP is sent to a single process or to the whole group by somebody who knows which.
        case 3 where value == SIGTSTP || value == SIGTTIN || value == SIGTTOU: descriptors_relay_act(value)
        default: break
        }
        return nil
    }

    private mutating func ended(_ ending: Termination) -> Termination {
        process = -1
        return ending
    }

    /// Lends file and arguments as the system takes them, ended by NULL.
    @safe
    private static func withArguments(
        of command: Command,
        _ body: (UnsafePointer<CChar>, UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
    ) -> Int32 {
        switch command {
        case .ownArguments(let position):
            guard position < CommandLine.argc, let file = unsafe CommandLine.unsafeArgv[position] else { return EINVAL }
            return unsafe body(file, CommandLine.unsafeArgv + position)
        case .program(let file, let name, let arguments):
            var pointers = unsafe ([name] + arguments).map { unsafe strdup($0) }
            defer { for index in 0..<arguments.count + 1 { unsafe free(pointers[index]) } }
            guard unsafe !pointers.contains(where: { unsafe $0 == nil }) else { return ENOMEM }
            unsafe pointers.append(nil)
            return unsafe body(file, pointers)
        }
    }
}

/// `kill(2)` of a child that has not been reaped: it cannot fail for a signal that exists, and may come too late.
private func systemKill(_ process: Int32, _ signal: Int32) {
    _ = kill(process, signal)
}
