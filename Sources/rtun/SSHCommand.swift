// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import RTunDaemon
import Transfer

/// `rtun ssh`: one command on the laptop from nothing to a shell on the server that knows its tunnel.
struct SSHCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ssh",
        abstract: "Log in to a server with a tunnel to this computer.",
        usage: "rtun ssh [--keep] [--no-install] [--label NAME] [SSH OPTIONS] HOST [COMMAND ...]",
        discussion: """
            Starts the daemon here if none runs, prepares ~/.rtun on the server, puts rtun there if it is missing or \
            older, makes the tunnel, and opens your shell or runs the command. One login: you are asked once. Every \
            option of ssh may be given; what ~/.ssh/config says of the host holds.

            --keep         no shell: hold the tunnel, and bring it back whenever the connection breaks
            --no-install   leave the programs on the server as they are
            --label NAME   what this computer calls the host: the folder in the inbox, the section in the configuration

            Exit codes: those of the command or shell; 255 ssh failed; 130 interrupted before that; 64 usage.
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "Options of ssh, the host, and a command.")
    var words: [String] = []

    func run() async throws {
        let arguments: SSHArguments
        do {
            arguments = try SSHArguments(words)
        } catch {
            throw ValidationError(safe(error.description))
        }
        if arguments.wantsHelp || words.isEmpty { throw CleanExit.helpRequest(self) }
        let label: HostLabel
        if let given = arguments.label {
            guard let checked = HostLabel(given) else {
                throw ValidationError("a label has \(HostLabel.rule)")
            }
            label = checked
        } else {
            label = HostLabel(destination: arguments.destination)
        }
        var code: Int32 = 255
        try await Client.run {
            let ssh = try Program(named: "ssh")
            if arguments.isPlain {
                code = try await ssh.run(words)
            } else {
                code = try await SSHLogin(ssh: ssh, arguments: arguments, label: label).run()
            }
            return .success
        }
        if code != 0 { throw ExitCode(code) }
    }
}
