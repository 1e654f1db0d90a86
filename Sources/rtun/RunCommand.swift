// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors

/// `rtun run`: a command, and word of its end.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command, and tell your computer when it ends.",
        discussion: """
            The command runs as if rtun were not there: with its own input, output, terminal and signals. When it ends, \
            your computer shows how, after how long, and the last lines of its standard error (where that is a \
            terminal, only with --tail). What fails on the way to your computer changes nothing about the command.

            Exit codes: those of the command, and its signal if one ended it; 126 it cannot be run; 127 it was not \
            found; 64 usage.
            """
    )

    enum Notice: String, ExpressibleByArgument, CaseIterable {
        case always, failure, never
    }

    @OptionGroup var client: ClientOptions

    @Option(help: "When to show a notification: always, failure or never.")
    var notify: Notice = .always

    @Option(name: .shortAndLong, help: "The title of the notification (default: the command).")
    var title: String?

    @Option(
        help: ArgumentHelp("Send this file or folder when the command has ended; may be repeated.", valueName: "path")
    )
    var send: [String] = []

    @Option(help: ArgumentHelp("Open this file on your computer then; may be repeated.", valueName: "path"))
    var view: [String] = []

    @Flag(help: "On a terminal, read the command's standard error through a pseudo-terminal to know its last lines.")
    var tail = false

    @Argument(parsing: .postTerminator, help: "The command, behind --.")
    var command: [String]

    func validate() throws {
        guard command.first?.isEmpty == false else {
            throw ValidationError("name the command behind --, as in: rtun run -- make -j4")
        }
    }

    func run() throws {
        var run = try CommandRun(command, tail: tail)
        let outcome = try run.run()
        let delivery = RunDelivery(
            outcome: outcome,
            title: title,
            notifies: notify == .always || notify == .failure && outcome.hasFailed,
            sends: send,
            views: view,
            socket: client.socket
        )
        delivery.deliver(by: &run.relay)
        if case .signalled(let signal) = outcome.ending { ForegroundRelay.end(by: signal) }
        throw ExitCode(outcome.code)
    }
}
