// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import NIOPosix
import Transfer
import UnixSignals

/// `view --follow`: sends each file again when it has changed, until a signal ends the program.
struct FollowRun {
    /// One file to follow.
    struct Watched {
        let view: FileView
        let watch: FileWatch
    }

    let watches: [Watched]

    /// Milliseconds after which a waiting thread looks whether it is still wanted.
    private static let patience: Int32 = 1_000

    /// Follows all at once; ends only by throwing.
    func run() async throws -> ExitStatus {
        let pool = NIOThreadPool(numberOfThreads: watches.count)
        pool.start()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await signal in signals {
                    throw ExitCode((signal == .sigint ? ExitStatus.userInterrupt : .interrupted).rawValue)
                }
            }
            for watched in watches { group.addTask { try await follow(watched, pool) } }
            // Nobody ends but by throwing, and the first one decides.
            try await group.next()
        }
        return .success
    }

    private func follow(_ watched: Watched, _ pool: NIOThreadPool) async throws {
        let watch = watched.watch
        while true {
            while try await !pool.runIfActive({ try watch.wait(milliseconds: Self.patience) }) {
                try Task.checkCancellation()
            }
            try await showPatiently(watched.view)
        }
    }

    /// Sends the file; waits where the tunnel is gone.
    private func showPatiently(_ view: FileView) async throws {
        while true {
            do {
                let status = try await view.show(isUpdate: true)
                // A file that is gone or unreadable now was reported; it may come back.
                guard status == .success || status == .partial else { throw ExitCode(status.rawValue) }
                return
            } catch {
                guard (error as? TransferError)?.isInterruption == true || error is NoTunnel else { throw error }
                StandardStream.error.line("rtun: \(Client.describe(error)); waiting for the tunnel to come back")
                try await waitForTunnel(view.client)
            }
        }
    }

    private func waitForTunnel(_ client: Client) async throws {
        while true {
            if let found = try? await client.finder.open(nil) {
                found.connection.close()
                return
            }
            try await Task.sleep(for: .seconds(2), clock: .suspending)
        }
    }
}
