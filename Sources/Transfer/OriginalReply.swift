// SPDX-License-Identifier: MIT

private import Archive

/// What a daemon says to a client of the original tool, byte for byte (`docs/protocol.md` sections 9.1 and 9.2).
package enum OriginalReply: Error, Sendable, Hashable {
    case pong
    case done
    case ready
    case echo([UInt8])
    /// Without a line end, as the original has it.
    case unknown([UInt8])
    /// With one: the original's own client waits for it.
    case refusedCommand([UInt8])
    case lineTooLong
    case badSize([UInt8], isNumber: Bool)
    case inboxItself([UInt8])
    case notTaken(String)
    case failed(String)
    case short(expected: Int64, got: Int64)
    case mismatch(said: [UInt8], digest: String)
    case notOpened(String)

    /// Scalars of a client's own words that are said back.
    private static let quotedScalars = 128

    /// True where the connection ends behind it, so that what was written behind a command is never read as one.
    package var closes: Bool {
        switch self {
        case .pong, .done, .ready, .echo, .unknown, .refusedCommand: false
        default: true
        }
    }

    package var bytes: [UInt8] {
        switch self {
        case .pong: Self.line("OK PONG")
        case .done: Self.line("OK")
        case .ready: Self.line("READY")
        case .echo(let text): Array("OK ".utf8) + text + Self.line("")
        case .unknown(let line): Array("ERROR 100 Unknown command: ".utf8) + line
        case .refusedCommand(let line): Array("ERROR 100 Unknown command: ".utf8) + line + Self.line("")
        case .lineTooLong: Self.line("ERROR 100 Unknown command: a line that is too long")
        case .badSize(let text, let isNumber):
            Self.line(
                "ERROR 101 strconv.Atoi: parsing \"\(Self.quoted(text))\": "
                    + (isNumber ? "value out of range" : "invalid syntax")
            )
        case .inboxItself(let path): Self.line("ERROR 103 Cannot write to file: \(Self.quoted(path))")
        case .notTaken(let reason): Self.line("ERROR 104 \(reason)")
        case .failed(let reason): Self.line("ERROR 105 \(reason)")
        case .short(let expected, let got): Self.line("ERROR 106 expected \(expected) bytes, got \(got) bytes")
        case .mismatch(let said, let digest): Self.line("ERROR 107 expected \(Self.quoted(said)), got \(digest)")
        case .notOpened(let reason): Self.line("ERROR 108 saved, not opened: \(reason)")
        }
    }

    private static func line(_ text: String) -> [UInt8] { Array((text + "\r\n").utf8) }

    private static func quoted(_ words: [UInt8]) -> String {
        SafeText(bytes: words, limit: quotedScalars).description.split(
            separator: "\"",
            omittingEmptySubsequences: false
        )
        .joined(separator: "\\\"")
    }
}
