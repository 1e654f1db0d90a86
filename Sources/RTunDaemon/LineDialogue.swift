// SPDX-License-Identifier: MIT

private import Archive
import Logging
private import NIOCore
import Transfer

/// The original tool's line protocol (`docs/protocol.md` section 9), as far as it is answered.
struct LineDialogue: Sendable {
    private static let lineBytes = 16 << 10

    let gate: Gate
    let settings: CurrentSettings
    let notices: NoticeBoard
    let logger: Logger

    /// Serves lines until the peer ends or is silent for too long.
    func serve(_ stream: MessageStream, first: [UInt8]) async throws {
        var stream = stream
        var line = first
        while true {
            try await stream.connection.send(ByteBuffer(bytes: await answer(to: line)))
            let timer = stream.connection.deadline(in: 120)
            defer { timer.cancel() }
            guard let next = try await stream.nextLine(atMost: Self.lineBytes) else { return }
            line = next
        }
    }

    private func answer(to line: [UInt8]) async -> [UInt8] {
        let text = String(decoding: line, as: UTF8.self)
        if text == "PING" { return Array("OK PONG\r\n".utf8) }
        if text.hasPrefix("ECHO ") { return Array("OK \(text.dropFirst(5))\r\n".utf8) }
        if text.hasPrefix("NOTIFY ") {
            // The original knows no other answer.
            guard settings.value.host(gate).notify else { return Array("OK\r\n".utf8) }
            let words = text.dropFirst(7).split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            _ = await notices.show(
                DesktopNotice(
                    title: "",
                    body: words.count > 1 ? String(words[1]) : "",
                    origin: gate.origin(stating: String(words.first ?? ""))
                )
            )
            return Array("OK\r\n".utf8)
        }
        // Without a line end, as the original has it.
        return Array("ERROR 100 Unknown command: ".utf8) + line
    }
}
