// SPDX-License-Identifier: MIT

import ArgumentParser
import Transfer

/// `rtun flush`: delivers what `send --queue` has put into the outbox.
struct FlushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flush",
        abstract: "Deliver what waits in the outbox, in order.",
        discussion: """
            Every other command that finds your computer starts this by itself. Files are read when they are delivered.

            """ + ExitStatus.help
    )

    @OptionGroup var client: ClientOptions
    @OptionGroup var transfer: TransferOptions

    @Flag(help: "List what waits, and what became of the rest.")
    var list = false

    @Option(help: ArgumentHelp("Take an item, or a result, out of the outbox.", valueName: "id"))
    var drop: String?

    /// Seconds after which an item whose holder shows no life is taken over.
    @Option(help: .hidden) var takeOverAfter = 300

    mutating func validate() throws {
        guard transfer.takeWordBehindWait().isEmpty else {
            throw ValidationError("--wait takes a number with s, m or h, as 30s, 10m or 24h")
        }
        guard !list || drop == nil else { throw ValidationError("--list and --drop exclude one another") }
        guard (1...86_400).contains(takeOverAfter) else { throw ValidationError("--take-over-after takes seconds") }
    }

    func run() async throws {
        try await Client.run {
            let state = try StateFolder()
            let outbox = try Outbox(in: state)
            if list {
                OutboxReport(try OutboxListing(outbox)).show(asJSON: transfer.json)
                return .success
            }
            if let drop {
                guard try outbox.drop(drop) else {
                    StandardStream.error.line(
                        "rtun: nothing in the outbox that waits or is done has the id \(safe(drop))"
                    )
                    return .failure
                }
                return .success
            }
            let run = FlushRun(
                outbox: outbox,
                client: Client(client, codecs: transfer.codecSet, sourceKey: state.sourceKey(), startsFlush: false),
                transfer: transfer,
                takeOverAfter: .seconds(takeOverAfter)
            )
            return try await run.deliverAll()
        }
    }
}
