// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import Transfer

/// `rtun sweep`, hidden: removes the sockets in `~/.rtun` that are certainly dead; `rtun ssh` runs it on the server.
struct SweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Remove the sockets that are certainly dead.",
        shouldDisplay: false
    )

    func run() async throws {
        try await Client.run {
            try SocketFolder(try StateFolder()).removeDead()
            return .success
        }
    }
}
