// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors
import Transfer

/// `rtun notify`: a notification on the laptop's desktop.
struct NotifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "notify",
        abstract: "Show a notification on your computer.",
        discussion: """
            Words, a title or both. With --id it takes the place of the last one with that id, where the desktop can \
            do that: for something that goes on. Ten a minute are shown, then a summary.

            Exit codes: 0 shown, or counted in a summary; 1 the laptop could not show it; 3 no tunnel or no daemon; \
            4 the laptop is too busy; 6 refused by the laptop; 64 usage; 130 interrupted by you.
            """
    )

    enum Urgency: String, ExpressibleByArgument, CaseIterable {
        case low, normal, critical

        var number: UInt64 {
            switch self {
            case .low: 0
            case .normal: 1
            case .critical: 2
            }
        }
    }

    /// Bytes of standard input that are read; the laptop shows far fewer.
    private static let inputLimit = 8_192

    @OptionGroup var client: ClientOptions

    @Option(name: .shortAndLong, help: "The title.")
    var title = ""

    @Option(name: .shortAndLong, help: "low, normal or critical.")
    var urgency: Urgency = .normal

    @Option(help: ArgumentHelp("Replace the last notification with this id.", valueName: "id"))
    var id: String?

    @Option(help: ArgumentHelp("Seconds after which it may go, 1 to 86400.", valueName: "seconds"))
    var expire: UInt64?

    @Argument(help: "The words; - reads standard input.")
    var words: [String] = []

    func validate() throws {
        guard !words.isEmpty || !title.isEmpty else {
            throw ValidationError("say something: words, - for standard input, or --title")
        }
        guard id?.utf8.count ?? 1 <= 64, id?.isEmpty != true else { throw ValidationError("--id takes 1 to 64 bytes") }
        guard (1...86_400).contains(expire ?? 1) else {
            throw ValidationError("--expire takes a number of seconds from 1 to 86400")
        }
    }

    func run() async throws {
        try await Client.run {
            let body = words == ["-"] ? try Self.standardInput() : words.joined(separator: " ")
            let request = NotifyRequest(
                title: title.cut(toBytes: 256),
                body: body.cut(toBytes: 8_192),
                urgency: urgency.number,
                id: id,
                expiry: expire
            )
            let client = Client(client)
            let found: DaemonConnection
            let answer: Message
            do {
                (found, _, answer) = try await client.ask(.notify(request))
            } catch TransferError.originalDaemon(let address) {
                let host = client.finder.hello.hostName.filter { !$0.isWhitespace }
                let words = OriginalName.notice(title: request.title, body: request.body)
                _ = try await Client.order("NOTIFY \(host.isEmpty ? "server" : host) \(words)", at: address)
                return .success
            }
            found.connection.close()
            guard case .notified(let outcome) = answer else { return .failure }
            switch outcome {
            case .shown: return .success
            case .heldBack:
                StandardStream.error.line("rtun: the laptop has shown many notifications; this one joins a summary")
                return .success
            case .notShown:
                StandardStream.error.line(
                    "rtun: the laptop could not show the notification: no desktop session, or nothing there that shows them"
                )
                return .failure
            }
        }
    }

    private static func standardInput() throws -> String {
        let input = OwnedDescriptor(adopting: 0)
        let slab = try Slab(capacity: inputLimit)
        var count = 0
        while count < inputLimit {
            let got = try slab.withMutableBytes(count..<inputLimit) {
                (span: inout MutableRawSpan) throws(SystemError) in try input.readSome(into: &span)
            }
            if got == 0 { break }
            count += got
        }
        let bytes = slab.withBytes(0..<count) { $0.copy }
        var text = String(decoding: bytes, as: UTF8.self)
        while text.hasSuffix("\n") { text.removeLast() }
        return text
    }
}
