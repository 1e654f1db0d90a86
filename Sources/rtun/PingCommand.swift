// SPDX-License-Identifier: MIT

import ArgumentParser
import Codecs
import Descriptors
import Transfer

/// `rtun ping`: whether the laptop answers.
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        abstract: "Ask whether your computer answers.",
        discussion: ExitStatus.help
    )

    @OptionGroup var client: ClientOptions

    @Flag(name: .shortAndLong, help: "Tell the laptop's name, versions, codec and round trip.")
    var verbose = false

    func run() async throws {
        try await Client.run {
            let start = ProcessContext.monotonicNow
            let found: DaemonConnection
            do {
                found = try await Client(client).open(nil)
            } catch TransferError.originalDaemon {
                StandardStream.output.line("OK PONG")
                if verbose { StandardStream.output.line("daemon      the original rtun: no resume, files one by one") }
                return .success
            }
            let elapsed = ProcessContext.monotonicNow - start
            found.connection.close()
            StandardStream.output.line("OK PONG")
            if verbose {
                let welcome = found.welcome
                let codec = welcome.codecs.contains(.zstd) ? "zstd" : welcome.codecs.contains(.zlib) ? "zlib" : "none"
                StandardStream.output.line(
                    """
                    laptop      \(safe(welcome.displayName))
                    label       \(safe(welcome.label))
                    daemon      \(safe(welcome.software)), protocol \(welcome.version)
                    client      \(RTun.software)
                    codec       \(codec)
                    round trip  \(milliseconds(elapsed)) ms
                    """
                )
            }
            return .success
        }
    }

    private func milliseconds(_ duration: Duration) -> String {
        let tenths = duration / .microseconds(100)
        return "\(Int64(tenths) / 10).\(Int64(tenths) % 10)"
    }
}
