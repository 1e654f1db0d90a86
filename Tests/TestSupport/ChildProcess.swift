// SPDX-License-Identifier: MIT

internal import Foundation
internal import Synchronization

/// A process that a test started, and the only one that it may end.
///
/// What it writes goes to unlinked files, not to pipes: a daemon that it leaves behind keeps nobody waiting for their end.
/// A process that is still there when this object goes is killed.
package final class ChildProcess: Sendable {
    /// What the process reads from standard input.
    package enum Input: Sendable {
        /// The end, at once (`/dev/null`).
        case nothing
        /// These bytes through a pipe, then the end.
        case bytes([UInt8])
        /// These bytes through a pipe that then stays open, as from a command that is still at work.
        case bytesWithoutEnd([UInt8])
    }

    private struct State: Sendable {
        var result: RunResult?
        var peakMemory = 0
        var timedOut = false
    }

    /// The number of the process; after its end it may be another's, so send signals by `signal(_:)` alone.
    package let identifier: Int32

    private let command: String
    private let started = ContinuousClock.now
    private let output: CapturedOutput
    private let errors: CapturedOutput
    private let heldInput: Mutex<Int32?>
    // The lock is held while the process is signalled or reaped, so that no signal can go to a number given anew.
    private let state = Mutex(State())

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - executable: the absolute path of the program.
    ///   - arguments: its arguments, without its name.
    ///   - environment: its whole environment.
    ///   - folder: where it runs; nil for the folder of the tests.
    ///   - input: what it reads.
    /// - Throws: `TestSupportFailure` when it cannot be started.
    package init(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String],
        folder: String? = nil,
        input: Input = .nothing
    ) throws {
        command = ([executable] + arguments).joined(separator: " ")
        output = try CapturedOutput()
        errors = try CapturedOutput()
        let inputEnd: Int32
        var feed: (descriptor: Int32, bytes: [UInt8], ends: Bool)?
        switch input {
        case .nothing:
            inputEnd = open("/dev/null", O_RDONLY | O_CLOEXEC)
        case .bytes(let bytes):
            let pipe = try Self.makePipe()
            inputEnd = pipe.reading
            feed = (pipe.writing, bytes, true)
        case .bytesWithoutEnd(let bytes):
            let pipe = try Self.makePipe()
            inputEnd = pipe.reading
            feed = (pipe.writing, bytes, false)
        }
        heldInput = Mutex(feed.flatMap { $0.ends ? nil : $0.descriptor })
        defer { close(inputEnd) }
        do {
            identifier = try Spawn(
                executable: executable,
                arguments: arguments,
                environment: environment,
                folder: folder,
                descriptors: [inputEnd, output.descriptor, errors.descriptor]
            ).start()
        } catch {
            if let feed { close(feed.descriptor) }
            throw error
        }
        if let feed {
            // A thread of its own: the process may read slowly, or never.
            Thread.detachNewThread {
                Self.write(feed.bytes, to: feed.descriptor)
                if feed.ends { close(feed.descriptor) }
            }
        }
    }

    /// Ends an input that was left open.
    package func endInput() {
        heldInput.withLock { descriptor in
            if let open = descriptor.take() { close(open) }
        }
    }

    deinit {
        if state.withLock({ $0.result == nil }) {
            kill(identifier, SIGKILL)
            var status: Int32 = 0
            waitpid(identifier, &status, 0)
        }
        endInput()
    }

    /// Starts a program, waits for its end, and kills it when that takes longer than `timeout`.
    package static func run(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String],
        folder: String? = nil,
        input: Input = .nothing,
        timeout: Duration = .seconds(60)
    ) async throws -> RunResult {
        try await ChildProcess(executable, arguments, environment: environment, folder: folder, input: input)
            .wait(timeout: timeout)
    }

    /// Waits for the end of the process, and kills it when that takes longer than `timeout`.
    package func wait(timeout: Duration = .seconds(60)) async -> RunResult {
        let deadline = ContinuousClock.now + timeout
        return await Waiting.onThread {
            while true {
                if let result = self.poll() { return result }
                if ContinuousClock.now > deadline, self.signal(SIGKILL) {
                    self.state.withLock { $0.timedOut = true }
                }
                Waiting.pause()
            }
        }
    }

    /// Waits until a condition on this process holds; it is asked every few milliseconds.
    ///
    /// - Throws: `TestSupportFailure` when the process ends first, or when the time is over.
    package func wait(
        until what: String,
        timeout: Duration = .seconds(20),
        _ condition: @escaping @Sendable () -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + timeout
        let failure: String? = await Waiting.onThread {
            while !condition() {
                if let result = self.poll() { return "it ended\n\(result)" }
                if ContinuousClock.now > deadline { return "\(timeout) are over\n\(self.standardError)" }
                Waiting.pause()
            }
            return nil
        }
        if let failure {
            throw TestSupportFailure("waited until \(what), but \(failure)")
        }
    }

    /// What it has written to standard error so far.
    package var standardError: String { String(decoding: errors.bytes(), as: UTF8.self) }

    /// The most memory that it has held so far, in bytes, as in `RunResult`.
    package var peakMemory: Int {
        state.withLock { state in
            guard state.result == nil else { return state.peakMemory }
            state.peakMemory = max(state.peakMemory, Self.memoryHighWaterMark(of: identifier))
            return state.peakMemory
        }
    }

    /// Sends a signal, unless the process has ended: then nothing happens, and the result is false.
    @discardableResult
    package func signal(_ number: Int32) -> Bool {
        state.withLock { state in
            state.result == nil && kill(identifier, number) == 0
        }
    }

    /// The result if the process has ended; notes its memory if not.
    private func poll() -> RunResult? {
        state.withLock { state in
            if let result = state.result { return result }
            state.peakMemory = max(state.peakMemory, Self.memoryHighWaterMark(of: identifier))
            var status: Int32 = 0
            var usage = rusage()
            guard wait4(identifier, &status, WNOHANG, &usage) == identifier else { return nil }
            #if canImport(Darwin)
            state.peakMemory = Int(usage.ru_maxrss)
            #endif
            let signal = status & 0x7F
            let result = RunResult(
                command: command,
                status: signal == 0 ? status >> 8 & 0xFF : 128 + signal,
                timedOut: state.timedOut,
                output: output.bytes(),
                errors: errors.bytes(),
                peakMemory: state.peakMemory,
                duration: ContinuousClock.now - started
            )
            state.result = result
            return result
        }
    }

    /// `VmHWM` of proc(5) in bytes; 0 where there is none.
    private static func memoryHighWaterMark(of identifier: Int32) -> Int {
        guard let status = try? String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = Int(line.filter(\.isNumber))
        else { return 0 }
        return kilobytes * 1024
    }

    /// A pipe whose ends no other child can inherit: opened by name, because pipe(2) cannot close on exec from the start
    /// and pipe2(2) is not visible to Swift.
    private static func makePipe() throws -> (reading: Int32, writing: Int32) {
        let path = NSTemporaryDirectory() + "/rtun-input-\(UInt64.random(in: .min ... .max))"
        guard mkfifo(path, 0o600) == 0 else { throw TestSupportFailure("mkfifo \(path): errno \(errno)") }
        defer { unlink(path) }
        let reading = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        let writing = open(path, O_WRONLY | O_CLOEXEC)
        guard reading >= 0, writing >= 0, fcntl(reading, F_SETFL, 0) == 0 else {
            throw TestSupportFailure("open \(path): errno \(errno)")
        }
        // A child that ends without reading must not end the tests.
        Foundation.signal(SIGPIPE, SIG_IGN)
        return (reading, writing)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            rest = rest.dropFirst(count)
        }
    }
}
