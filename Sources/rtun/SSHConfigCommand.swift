// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import RTunDaemon
import Transfer

/// `rtun ssh-config`: the lines for `~/.ssh/config` that make every plain `ssh HOST` bring a tunnel.
struct SSHConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ssh-config",
        abstract: "Print the lines for ~/.ssh/config that give every ssh to a host its tunnel.",
        discussion: """
            Logs in once to learn where your home is there and to make ~/.rtun; --home spares that. The socket has one \
            name for this computer: a login that breaks off leaves it behind, and the next one brings no tunnel until \
            it is removed (`rtun` does that on the server when it next looks for a tunnel), or the server has \
            StreamLocalBindUnlink. `rtun ssh` needs none of this.

            Exit codes: 0 printed; 1 no login, or no name that ssh can forward; 64 usage.
            """
    )

    @Option(help: ArgumentHelp("Your home on the server; nobody is asked then.", valueName: "path"))
    var home: String?

    @Argument(help: "The host, as you give it to ssh.") var host: String

    func run() async throws {
        try await Client.run {
            guard !host.hasPrefix("-"), !host.isEmpty else { throw ValidationError("which host?") }
            let local = try await LaptopDaemon(folder: StateFolder()).socket(for: HostLabel(destination: host))
            let laptop = ((try? ProcessContext.hostName()) ?? "laptop").prefix { $0 != "." }
            let remote: String
            if let home {
                remote = home + "/.rtun/rtun.sock.\(laptop)"
            } else {
                remote = try await socket(named: String(laptop))
            }
            guard RemoteAccount.isForwardable(remote), RemoteAccount.isForwardable(local.path) else {
                throw LaptopDaemon.Fault(description: "ssh cannot forward \(safe(remote)) to \(safe(local.path))")
            }
            StandardStream.output.line(
                """
                Host \(safe(host))
                    RemoteForward \(remote) \(local.path)
                    ServerAliveInterval 15
                """
            )
            return .success
        }
    }

    /// Asks the server, which makes the folder.
    private func socket(named name: String) async throws -> String {
        let script = RemoteScript.prepare(
            mark: "rtun-" + RandomWord.make(bytes: 12),
            suffix: name,
            in: [.home, .temporary]
        )
        let outcome = try await Program(named: "ssh").capture(
            ["-T", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", "--", host, RemoteScript.command],
            input: .bytes(Array(script.text.utf8)),
            within: 120
        )
        guard let socket = RemoteAccount(RemoteReply(outcome.output, mark: script.mark))?.socket else {
            throw LaptopDaemon.Fault(description: "no answer from \(safe(host)): \(safe(outcome.lastLine))")
        }
        return socket
    }
}
