// SPDX-License-Identifier: MIT

import ArgumentParser
import Transfer

/// `rtun echo`, hidden: what goes to the laptop and comes back.
struct EchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Send words to your computer and print them as they come back.",
        shouldDisplay: false
    )

    @OptionGroup var client: ClientOptions
    @Argument(help: "The words.") var words: [String] = []

    func run() async throws {
        try await Client.run {
            let text = words.joined(separator: " ")
            guard text.utf8.count <= MessageKind.echo.limit else {
                throw ValidationError("at most 16 KiB can be echoed")
            }
            let found: DaemonConnection
            let answer: Message
            do {
                (found, _, answer) = try await Client(client).ask(.echo(Array(text.utf8)))
            } catch TransferError.originalDaemon(let address) {
                let words = OriginalName.notice(title: "", body: text)
                StandardStream.output.line(safe(try await Client.order("ECHO \(words)", at: address)))
                return .success
            }
            found.connection.close()
            guard case .echoed(let bytes) = answer else { return .failure }
            StandardStream.output.line(safe(String(decoding: bytes, as: UTF8.self)))
            return .success
        }
    }
}
