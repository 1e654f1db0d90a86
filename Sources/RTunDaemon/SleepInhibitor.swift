// SPDX-License-Identifier: MIT

private import Descriptors

/// Keeps the machine from falling asleep for idleness while transfers run: `systemd-inhibit`, `caffeinate` on macOS.
///
/// The program runs only behind a transfer that lasts, and ends with the daemon, however that ends: it waits for the
/// end of a pipe, or for the daemon's process. Where it is missing nothing happens.
package actor SleepInhibitor {
    private let delay: Duration
    private let searchPath: String?
    private var count = 0
    private var starting: Task<Void, Never>?
    private var child: ChildProcess?
    private var link: StreamTap?

    /// Makes one that inhibits nothing yet.
    ///
    /// - Parameters:
    ///   - delay: how long transfers must have been running.
    ///   - searchPath: the folders where the program is looked for; nil is this process's `PATH`.
    package init(delay: Duration = .seconds(5), searchPath: String? = nil) {
        self.delay = delay
        self.searchPath = searchPath
    }

    /// A transfer begins.
    package func begin() {
        count += 1
        guard count == 1 else { return }
        starting = Task {
            // A cancelled sleep: the transfers ended before.
            guard (try? await Task.sleep(for: delay, clock: .suspending)) != nil, !Task.isCancelled else { return }
            start()
        }
    }

    /// A transfer has ended.
    package func end() {
        guard count > 0 else { return }
        count -= 1
        guard count == 0 else { return }
        starting?.cancel()
        starting = nil
        link = nil
        guard let child else { return }
        self.child = nil
        Task { await Self.reap(child) }
    }

    /// Whoever began has gone.
    func endAll() {
        count = min(count, 1)
        if count == 1 { end() }
    }

    private func start() {
        guard count > 0, child == nil else { return }
        do throws(SystemError) {
            let link = try StreamTap.pipe()
            try link.reading.setNonBlocking(false)
            child = try ChildProcess.spawn(
                executable: "/usr/bin/env",
                arguments: Self.command(),
                environment: environment,
                descriptors: [(child: 0, parent: link.reading.rawValue)],
                newSession: true,
                workingDirectory: "/"
            )
            self.link = consume link
        } catch {
            // Nothing depends on it: without the program the machine sleeps when it would.
        }
    }

    private var environment: [String] {
        guard let searchPath else { return ProcessContext.allEnvironment }
        return ProcessContext.allEnvironment.filter { !$0.hasPrefix("PATH=") } + ["PATH=" + searchPath]
    }

    /// The program and its arguments.
    private static func command() -> [String] {
        #if os(macOS)
        ["caffeinate", "-i", "-w", "\(ProcessContext.processID)"]
        #else
        ["systemd-inhibit", "--what=idle", "--who=rtun", "--why=Files are arriving", "--mode=block", "cat"]
        #endif
    }

    /// Ends the program, which ends by itself where it waits for the pipe, and waits for it.
    private static func reap(_ child: ChildProcess) async {
        do {
            for turn in 0..<200 {
                if try child.poll() != nil { return }
                if turn == 20 { try child.signal(15) }
                if turn == 100 { try child.signal(9) }
                try await Task.sleep(for: .milliseconds(25))
            }
        } catch {
            // It was reaped, or this task is over with the daemon.
        }
    }
}
