// SPDX-License-Identifier: MIT

/// Bytes from the peer or from disk that break `docs/archive-format.md` or `docs/protocol.md`.
///
/// The sentence names the field and the rule, never a value of the laptop: it may travel back to the peer.
package struct FormatError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
