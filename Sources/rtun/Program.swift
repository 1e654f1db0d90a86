// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Dispatch
import Synchronization
import Transfer
import UnixSignals

/// Another program of this machine, run with a fixed list of arguments; never a shell.
struct Program: Sendable {
    /// How a run ended, and what it said on standard output and standard error together.
    struct Outcome: Sendable {
        /// The exit code; 128 and the signal's number where a signal ended it.
        let status: Int32
        let output: [UInt8]

        var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// What a program reads.
    enum Input: ~Copyable {
        case nothing
        case bytes([UInt8])
        case file(OwnedDescriptor)
    }

    /// It is not on this machine.
    struct Missing: Error, CustomStringConvertible {
        let name: String
        var description: String { "there is no \(name) on this machine" }
    }

    /// Bytes of output that are kept; the rest is read and forgotten.
    private static let outputLimit = 1 << 20

    let path: String

    init(path: String) { self.path = path }

    /// Looks a name up in `PATH`.
    init(named name: String) throws {
        let folders = (ProcessContext.environment("PATH") ?? "/usr/bin:/bin").split(separator: ":")
        for folder in folders where folder.hasPrefix("/") {
            guard let place = try? Directory.open(String(folder)),
                let status = try? place.status(name, followingLink: true), status.kind == .file,
                status.mode & 0o111 != 0
            else { continue }
            path = "\(folder)/\(name)"
            return
        }
        throw Missing(name: name)
    }

    /// Runs it on this terminal until it ends; signals that come meanwhile are passed on by `signals`.
    func run(_ arguments: [String], signals: SignalRelay? = nil) async throws -> Int32 {
        let child = try ChildProcess.spawn(
            executable: path,
            arguments: arguments,
            environment: ProcessContext.allEnvironment,
            descriptors: [(child: 0, parent: 0), (child: 1, parent: 1), (child: 2, parent: 2)]
        )
        signals?.set(child)
        defer { signals?.set(nil) }
        return try await Self.onThread { Self.code(try child.wait()) }
    }

    /// Runs it, reads what it says, and kills it where that takes longer than `seconds`.
    func capture(
        _ arguments: [String],
        input: consuming Input = .nothing,
        within seconds: Int64
    ) async throws -> Outcome {
        var outputs = try UnixSocket.pair()
        let reading = outputs.takeFirst()
        let writing = outputs.takeSecond()
        var inputs = try UnixSocket.pair()
        let feeding = inputs.takeFirst()
        var fed = inputs.takeSecond()
        var bytes: [UInt8] = []
        switch consume input {
        case .nothing: break
        case .bytes(let given): bytes = given
        case .file(let file): fed = file
        }
        let child = try ChildProcess.spawn(
            executable: path,
            arguments: arguments,
            environment: ProcessContext.allEnvironment,
            descriptors: [
                (child: 0, parent: fed.rawValue), (child: 1, parent: writing.rawValue),
                (child: 2, parent: writing.rawValue),
            ]
        )
        try writing.close()
        try fed.close()
        do throws(SystemError) {
            try bytes.withSpan { (span: RawSpan) throws(SystemError) in try feeding.writeAll(span) }
        } catch {
            // It ended without reading; its code says why.
        }
        try feeding.close()
        let end = ProcessContext.monotonicNow + .seconds(seconds)
        let number = reading.relinquish()
        return try await Self.onThread {
            let output = try Self.readAll(OwnedDescriptor(adopting: number), until: end)
            if output == nil { try? child.signal(9) }
            return Outcome(status: Self.code(try child.wait()), output: output ?? [])
        }
    }

    /// Everything up to the end of the stream; nil where that does not come in time.
    private static func readAll(_ stream: consuming OwnedDescriptor, until end: Duration) throws -> [UInt8]? {
        let slab = try Slab(capacity: 1 << 16)
        var bytes: [UInt8] = []
        while true {
            let left = (end - ProcessContext.monotonicNow) / .milliseconds(1)
            guard left > 0, try stream.waitUntilReadable(milliseconds: Int32(min(left.rounded(.up), 1e9))) else {
                return nil
            }
            let count = try slab.withMutableBytes(0..<(1 << 16)) {
                (span: inout MutableRawSpan) throws(SystemError) in try stream.readSome(into: &span)
            }
            if count == 0 { return bytes }
            if bytes.count < outputLimit { bytes += slab.withBytes(0..<count) { $0.copy } }
        }
    }

    private static func code(_ ending: Termination) -> Int32 {
        switch ending {
        case .exited(let code): code
        case .signalled(let number): 128 + number
        }
    }

    /// Blocking work, on none of the threads that run tasks.
    static func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// Passes on to the program in the foreground what this process is told, so that this one can tidy up behind it.
///
/// Ctrl-C reaches both, as the terminal sends it to both.
final class SignalRelay: Sendable {
    private struct State {
        var child: ChildProcess?
        var code: Int32?
    }

    private let state = Mutex(State())

    /// The exit code of a command that a signal ended; nil while none has come.
    var code: Int32? { state.withLock { $0.code } }

    /// Does the work, and cancels it at SIGINT, SIGTERM or SIGHUP; a program in the foreground is told and decides.
    func run<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        let task = Task { try await work() }
        let watch = Task {
            for await signal in signals where !relay(signal) { task.cancel() }
        }
        defer { watch.cancel() }
        return try await task.value
    }

    /// False where no program is in the foreground.
    private func relay(_ signal: UnixSignal) -> Bool {
        let number: Int32 =
            switch signal {
            case .sigint: 2
            case .sighup: 1
            default: 15
            }
        return state.withLock { state in
            guard let child = state.child else {
                state.code = 128 + number
                return false
            }
            // It may have ended just now; then there is nobody to tell.
            if number != 2 { try? child.signal(number) }
            return true
        }
    }

    fileprivate func set(_ child: ChildProcess?) {
        state.withLock { $0.child = child }
    }
}
