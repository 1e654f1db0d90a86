// SPDX-License-Identifier: MIT

import ArgumentParser

/// The root command: configuration only.
struct RTun: ParsableCommand {
    static let version = "0.1.0"
    static let toolVersion: ToolVersion = ToolVersion(version) ?? .none
    /// As the other side is told.
    static let software = "rtun \(version)"

    static let configuration = CommandConfiguration(
        commandName: "rtun",
        abstract: "Bring results from a remote server to your own computer, through the SSH session you have.",
        discussion: """
            On your computer:  rtun ssh host
            On the server:     rtun send -r results/
                               rtun view plot.png
                               rtun notify done
            """,
        version: version,
        subcommands: [
            SendCommand.self, ViewCommand.self, NotifyCommand.self, RunCommand.self, FlushCommand.self,
            PingCommand.self,
            ServerCommand.self, SSHCommand.self, SSHConfigCommand.self, StatusCommand.self, DoctorCommand.self,
            PipeCommand.self, SweepCommand.self, EchoCommand.self, DesktopCommand.self,
        ]
    )
}
