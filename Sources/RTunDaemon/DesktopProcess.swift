// SPDX-License-Identifier: MIT

package import Descriptors
private import Synchronization

/// The process of `DesktopService`, a child of the worker from before the worker has threads.
package final class DesktopProcess: Sendable {
    /// The name of the hidden command that it runs, and the descriptor of its link.
    package static let command = "desktop"
    package static let inheritedLink: Int32 = 3

    private let child: ChildProcess
    private let end: Mutex<OwnedDescriptor?>
    private let isReaped = Mutex(false)

    private init(_ child: ChildProcess, _ end: consuming OwnedDescriptor) {
        self.child = child
        self.end = Mutex(end)
    }

    /// Starts it, in a session of its own so that Ctrl-C reaches the worker alone, for these folders.
    package static func start(for grounds: [Ground]) throws(SystemError) -> DesktopProcess {
        var pair = try UnixSocket.pair()
        let mine = pair.takeFirst()
        let theirs = pair.takeSecond()
        let child = try ChildProcess.spawn(
            executable: ProcessContext.runningProgram,
            arguments: [command] + grounds.map { $0.path },
            environment: ProcessContext.allEnvironment,
            descriptors: [(child: 2, parent: 2), (child: inheritedLink, parent: theirs.rawValue)],
            newSession: true,
            workingDirectory: "/"
        )
        try theirs.close()
        return DesktopProcess(child, mine)
    }

    /// The worker's end of the link, once.
    func takeLink() -> OwnedDescriptor? { end.withLock { $0.take() } }

    /// Waits for its end, which follows that of the link; ends it by force after two seconds.
    ///
    /// May be called again, also where an earlier call was cancelled.
    func reap() async {
        do {
            for turn in 0..<160 {
                let isOver = try isReaped.withLock { isReaped in
                    guard !isReaped else { return true }
                    isReaped = try child.poll() != nil
                    if !isReaped, turn == 80 { try child.signal(9) }
                    return isReaped
                }
                if isOver { return }
                try await Task.sleep(for: .milliseconds(25))
            }
        } catch {
            // Cancelled; or it is no child any more.
        }
    }
}
