// SPDX-License-Identifier: MIT

/// What the laptop calls one host: it names a socket, a folder in the inbox, and a section of the configuration.
///
/// `[a-z0-9][a-z0-9._-]{0,31}`, and never `default`, which is the plain socket's section.
package struct HostLabel: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The rule, for messages.
    package static let rule = "1 to 32 of a-z, 0-9, '.', '_' and '-', the first a letter or digit, and not 'default'"
    /// What stands for a label where there is none.
    package static let plainName = "default"

    package let text: String

    package var description: String { text }

    /// Takes a label, or is nil for any other text.
    package init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard (1...32).contains(bytes.count), bytes.allSatisfy(Self.isAllowed), let first = bytes.first,
            Self.isAlphanumeric(first), text != Self.plainName
        else { return nil }
        self.text = String(text)
    }

    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// Through which of the daemon's sockets a peer came: all that tells hosts apart, since a peer may state any name.
package enum Gate: Sendable, Hashable {
    /// The socket that is not made for one host.
    case plain
    case host(HostLabel)

    /// The label as the peer is told it, and as its section of the configuration is named.
    package var name: String {
        switch self {
        case .plain: HostLabel.plainName
        case .host(let label): label.text
        }
    }

    /// The name of one of its settings: `host.gpu01.view`.
    package func setting(_ key: String) -> String { "host.\(name).\(key)" }

    /// Whose words a notification shows; on the plain socket only what the peer calls itself.
    package func origin(stating name: String) -> DesktopNotice.Origin {
        switch self {
        case .plain: .unverified(name: name)
        case .host(let label): .label(label.text)
        }
    }
}
