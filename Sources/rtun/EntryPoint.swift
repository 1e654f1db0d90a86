// SPDX-License-Identifier: MIT

private import Archive
private import ArgumentParser
private import Descriptors
private import Dispatch

/// The program's start: synchronous, since an asynchronous `main` ends in `dispatch_main`, which costs 37 ms of
/// unwinding in a static binary.
@main
enum EntryPoint {
    static func main() {
        ProcessContext.openStandardStreams()
        ProcessContext.ignoreSIGPIPE()
        ProcessContext.tuneAllocator()
        do {
            var command = try RTun.parseAsRoot()
            if let server = command as? ServerCommand, server.worker {
                // Before anything makes a thread.
                let worker = Result { try WorkerProcess(server) }
                try wait { try await Client.run { try await worker.get().serve() } }
            } else if let asynchronous = command as? any AsyncParsableCommand {
                // The command is handed over whole: nothing here touches it again.
                nonisolated(unsafe) var running = asynchronous
                try wait { try await running.run() }
            } else {
                try command.run()
            }
        } catch {
            let code = RTun.exitCode(for: error)
            // Help and version are our own words; a complaint repeats what was typed.
            let text = code.isSuccess ? "" : terminalText(RTun.fullMessage(for: error))
            guard !text.isEmpty else { RTun.exit(withError: error) }
            StandardStream.error.line(text)
            RTun.exit(withError: code)
        }
    }

    /// A message whose names may have passed `SafeText` already: what is still unsafe is escaped, the rest stays.
    private static func terminalText(_ message: String) -> String {
        message.unicodeScalars.map { scalar in
            scalar != "\n" && scalar.isUnsafeForDisplay ? safe(String(scalar)) : String(scalar)
        }.joined()
    }

    /// Runs a command's work in a task and blocks until it has ended.
    private static func wait(for work: @escaping @Sendable () async throws -> Void) throws {
        let ended = DispatchSemaphore(value: 0)
        let outcome = Outcome()
        Task.detached {
            do { try await work() } catch { outcome.error = error }
            ended.signal()
        }
        ended.wait()
        if let error = outcome.error { throw error }
    }
}

/// Written by the task, read behind the semaphore that it signals.
private final class Outcome: @unchecked Sendable {
    var error: (any Error)?
}
