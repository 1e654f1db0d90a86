// SPDX-License-Identifier: MIT
import Descriptors
import Subprocess
import Synchronization

/// A program of the user's desktop (`xdg-open`, `notify-send`, …), looked up on `PATH` and run with a fixed argument
/// list: never a shell, never longer than `timeout`, always reaped.
///
/// It runs in a session of its own, so that Ctrl-C in the terminal of a foreground daemon does not reach the
/// applications it starts, and without standard input, output or error.
struct DesktopProgram: Sendable {
    /// How a run ended.
    enum Ending: Equatable, Sendable {
        case exited(code: Int32)
        case killed(signal: Int32)
        /// It was still running after the allowed time, or when the calling task was cancelled, and was killed.
        case stopped
        /// The same, and what it had started lives on.
        case leftRunning
        /// No folder on `PATH` holds a program of this name.
        case notFound
        /// It could not be started; the text says why.
        case notStarted(reason: String)
    }

    /// The name that is looked up on `PATH`.
    let name: String
    /// Variables that replace (or, with nil, remove) those of this process.
    let environment: [String: String?]
    /// The longest time a run may take, on a clock that stops while the machine sleeps.
    let timeout: Duration
    /// Whether it gets the variables of the desktop session as it is now.
    var joinsSession = true

    /// Runs the program to its end.
    ///
    /// Only the program itself is killed when its time is over: a minimal desktop's `xdg-open` stays in front of the
    /// viewer that it started, and the viewer belongs to the user.
    func run(_ arguments: [String]) async -> Ending {
        let leader = Mutex<Int32>(0)
        let ending = await limited {
            try await Subprocess.run(
                .name(name),
                arguments: Arguments(arguments),
                environment: inherited,
                platformOptions: Self.options,
                input: .none,
                output: .discarded,
                error: .discarded
            ) { execution in
                leader.withLock { $0 = Int32(execution.processIdentifier.value) }
            }.terminationStatus
        }
        // It leads a session, so what it started is in its group.
        return ending == .stopped && ProcessContext.isGroupAlive(leader.withLock { $0 }) ? .leftRunning : ending
    }

    /// The same for a program that leaves nothing running, with what it wrote to standard output, at most 64 KiB.
    func runReading(_ arguments: [String]) async -> (ending: Ending, output: String) {
        let output = Mutex("")
        let ending = await limited {
            let result = try await Subprocess.run(
                .name(name),
                arguments: Arguments(arguments),
                environment: inherited,
                platformOptions: Self.options,
                input: .none,
                output: .string(limit: 64 << 10),
                error: .discarded
            )
            output.withLock { $0 = result.standardOutput }
            return result.terminationStatus
        }
        return (ending, output.withLock { $0 })
    }

    private static var options: PlatformOptions {
        var options = PlatformOptions()
        options.createSession = true
        // No steps: SIGKILL at once.
        options.teardownSequence = []
        return options
    }

    /// How a run ends, or `.stopped` when its time is over or the calling task is cancelled.
    private func limited(_ run: @escaping @Sendable () async throws -> TerminationStatus) async -> Ending {
        await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do {
                    switch try await run() {
                    case .exited(let code): return .exited(code: code)
                    case .signaled(let signal): return .killed(signal: signal)
                    }
                } catch let error as SubprocessError where error.code == .executableNotFound {
                    return .notFound
                } catch {
                    return .notStarted(reason: "\(error)")
                }
            }
            group.addTask {
                // A cancelled sleep means that the program has ended or that our caller was cancelled.
                try? await Task.sleep(for: timeout, clock: .suspending)
                return .stopped
            }
            let first = await group.next() ?? .stopped
            // Cancelling the run kills the program; leaving the group waits until it is reaped.
            group.cancelAll()
            if case .exited = first { return first }
            return Task.isCancelled ? .stopped : first
        }
    }

    /// This process's variables, those of the desktop session as it is now, then the ones asked for.
    private var inherited: Environment {
        get async {
            var changes: [Environment.Key: String?] = [:]
            let session = joinsSession ? await DesktopSession.current.changes() : [:]
            for (name, value) in session.map({ ($0, Optional($1)) }) + environment.map({ ($0, $1) }) {
                guard let key = Environment.Key(rawValue: name) else { continue }
                changes.updateValue(value, forKey: key)
            }
            return .inherit.updating(changes)
        }
    }
}

extension DesktopProgram.Ending {
    /// A sentence for the log and for the peer when `program` did not do its work.
    func reason(program: String) -> String {
        switch self {
        case .exited(let code): "\(program) ended with code \(code)"
        case .killed(let signal): "\(program) was ended by signal \(signal)"
        case .stopped, .leftRunning: "\(program) did not answer in time and was stopped"
        case .notFound: "\(program) was not found on PATH"
        case .notStarted(let reason): "\(program) could not be started: \(reason)"
        }
    }
}
