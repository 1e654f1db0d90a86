// SPDX-License-Identifier: MIT

import Descriptors
import Transfer

/// Starts `rtun flush` on its own where the outbox has something to deliver.
///
/// The server has no daemon: whoever finds the laptop sees to the outbox, and does not wait for it.
enum DetachedFlush {
    /// Failing costs a delay: the next command tries again.
    ///
    /// `socket` is what `-s` named.
    static func startIfNeeded(socket: String?) {
        guard let state = try? StateFolder(), Outbox.needsFlush(in: state) else { return }
        start(socket: socket)
    }

    static func start(socket: String?) {
        guard let executable = try? ProcessContext.executablePath() else { return }
        // Nobody waits for it: it outlives this command, and until then its end is of no interest.
        _ = try? ChildProcess.spawn(
            executable: executable,
            arguments: ["flush", "--quiet"] + (socket.map { ["--socket", $0] } ?? []),
            environment: ProcessContext.allEnvironment,
            newSession: true
        )
    }
}
