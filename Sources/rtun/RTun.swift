// SPDX-License-Identifier: MIT

import ArgumentParser

/// The root command: configuration only.
struct RTun: ParsableCommand {
    static let version = "0.1.0"
    /// As the other side is told.
    static let software = "rtun \(version)"

    static let configuration = CommandConfiguration(
        commandName: "rtun",
        abstract: "Bring results from a remote server to your own computer, through the SSH session you have.",
        discussion: """
            On your computer:  rtun server -d
                               ssh -R /home/you/.rtun/rtun.sock.$RANDOM:$HOME/.rtun/rtun.sock host
            On the server:     rtun send -r results/
                               rtun view plot.png
                               rtun notify done
            """,
        version: version,
        subcommands: [
            SendCommand.self, ViewCommand.self, NotifyCommand.self, RunCommand.self, PingCommand.self,
            ServerCommand.self,
            EchoCommand.self,
        ]
    )
}
