// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import RTunDaemon
import UnixSignals

/// `rtun desktop`, hidden: opens and shows for a worker, which starts it with its end of their link.
struct DesktopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: DesktopProcess.command,
        abstract: "Run the desktop's programs for the daemon.",
        shouldDisplay: false
    )

    @Argument(help: "The folders that receive.")
    var folders: [String]

    func run() async throws {
        try await Client.run {
            // One that is gone already has nothing to open.
            let grounds = folders.compactMap { try? Ground(path: $0) }
            let service = DesktopService(DesktopPlaces(grounds))
            // Meant for the worker: its configuration and its log.
            let hangUps = Task { for await _ in await UnixSignalsSequence(trapping: .sighup) {} }
            defer { hangUps.cancel() }
            try await service.run(OwnedDescriptor(adopting: DesktopProcess.inheritedLink))
            return .success
        }
    }
}
