// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import FoundationEssentials
import Transfer

/// `rtun status`: the daemon of this machine, the tunnels that reach it, and what has not arrived yet.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Tell what runs here: the daemon on a laptop, the tunnels and sends on a server.",
        discussion: """
            On a laptop: the daemon and what it is doing. On a server: every socket in ~/.rtun, and who answers; what \
            is queued, what of it failed, and the unfinished sends. --json is one object on a line; fields are only \
            ever added.

            Exit codes: 0 a daemon runs here or a laptop answers; 3 neither; 1 other failure; 64 usage.
            """
    )

    @Flag(help: "One JSON object on standard output.")
    var json = false

    /// The whole answer; `daemon` is what `STATUS` on `ctl.sock` says, as it is.
    private struct Report: Encodable {
        let messageType = "status"
        let version = RTun.version
        let folder: String
        let daemonVersion: String?
        let daemon: JSONValue?
        let sockets: [SocketReport]
        /// Missing where nothing was ever queued here.
        let outbox: OutboxReport?
        let unfinished: [SendListing]
    }

    /// Items, failures and unfinished sends that people are shown, each.
    private static let shown = 10

    func run() async throws {
        try await Client.run {
            let folder = try StateFolder()
            let daemon = LaptopDaemon(folder: folder)
            let answer = try await daemon.ask("STATUS")
            let plain = folder.path + "/rtun.sock"
            let report = Report(
                folder: folder.path,
                daemonVersion: answer == nil ? nil : await daemon.version(at: try UnixAddress(path: plain)),
                daemon: try answer.map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) },
                sockets: try await SocketReport.all(in: folder, without: answer == nil ? [] : [plain]),
                outbox: try Outbox.existing(in: folder).map { OutboxReport(try OutboxListing($0)) },
                unfinished: try SendStore.existing(in: folder).map {
                    try UnfinishedSends($0).sends.map(SendListing.init)
                } ?? []
            )
            if json { JSONLine.write(report) } else { tell(report) }
            let isConnected = report.sockets.contains { $0.state == .live }
            if isConnected { DetachedFlush.startIfNeeded(socket: nil) }
            return report.daemon != nil || isConnected ? .success : .noTunnel
        }
    }

    private func tell(_ report: Report) {
        let output = StandardStream.output
        output.line("\(RTun.software), state in \(safe(report.folder))")
        if case .object(let fields) = report.daemon {
            output.line("daemon: \(safe(report.daemonVersion ?? "does not answer on its socket"))")
            for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
                output.line("  \(safe(name.replacing("_", with: " "))): \(safe(value.description))")
            }
        }
        if !report.sockets.isEmpty { output.line("tunnels:") }
        for socket in report.sockets {
            let what =
                switch socket.state {
                case .live:
                    "\(safe(socket.laptop ?? "")) answers (\(safe(socket.daemon ?? "")), as \(safe(socket.label ?? "")))"
                case .refused: "refuses: \(socket.reason ?? "")"
                case .silent: "does not answer: ssh or the laptop hangs"
                case .dead: "nobody listens"
                }
            output.line("  \(safe(socket.path)): \(what)")
        }
        for line in report.outbox?.summary(limit: Self.shown) ?? [] { output.line(line) }
        if !report.unfinished.isEmpty { output.line("unfinished sends (rtun send --resume ID goes on):") }
        for send in report.unfinished.prefix(Self.shown) { output.line("  \(send.line)") }
        if report.unfinished.count > Self.shown { output.line("  … all of them: rtun send --list") }
        if report.daemon == nil, report.sockets.isEmpty {
            output.line("no daemon runs here, and there is no tunnel: on your computer run: rtun ssh HOST")
        }
    }
}

/// Any JSON, kept as it came.
enum JSONValue: Codable, CustomStringConvertible {
    case null
    case flag(Bool)
    case number(Int64)
    case fraction(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Int64.self) {
            self = .number(number)
        } else if let fraction = try? value.decode(Double.self) {
            self = .fraction(fraction)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSONValue].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .flag(let flag): try value.encode(flag)
        case .number(let number): try value.encode(number)
        case .fraction(let fraction): try value.encode(fraction)
        case .text(let text): try value.encode(text)
        case .list(let list): try value.encode(list)
        case .object(let object): try value.encode(object)
        }
    }

    var description: String {
        switch self {
        case .null: "none"
        case .flag(let flag): flag ? "yes" : "no"
        case .number(let number): "\(number)"
        case .fraction(let fraction): "\(fraction)"
        case .text(let text): text
        case .list(let list): list.isEmpty ? "none" : list.map { $0.description }.joined(separator: ", ")
        case .object(let object):
            object.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: " ")
        }
    }
}
