// SPDX-License-Identifier: MIT

package import Archive

/// How names are written to a daemon of the original tool, some of which end its process
/// (`docs/protocol.md` section 9.3).
package enum OriginalName {
    /// Bytes of a last name behind which SEND finds no name for its temporary file: `.`, the name, ten digits.
    private static let sendBytes = 244
    /// Bytes of a name behind which VIEW ends the process: `tmp_`, ten digits, `_`, the name.
    private static let viewBytes = 240
    /// Bytes behind a dot that still count as the ending of a name.
    private static let longestEnding = 64

    /// Why a path cannot be sent.
    package enum Fault: String, Error, Sendable, Hashable {
        case crashes = "its one-byte name would crash the original daemon; give it another one with -o"
        case tooLong = "its name is too long for the original daemon"
    }

    /// What SEND says for a path below the inbox, outermost name first.
    package static func path(_ names: [EntryName]) throws(Fault) -> String {
        let path = names.map(\.text).joined(separator: "/")
        guard (names.last?.text.utf8.count ?? 0) <= sendBytes else { throw .tooLong }
        guard path.utf8.count > 1 else { throw .crashes }
        // Cleaned, three bytes that name the same place.
        return path.utf8.count == 2 ? "/" + path : path
    }

    /// What VIEW says: the name, shortened in front of its ending where it is too long.
    package static func viewed(_ name: EntryName) -> String {
        var stem = name.text
        guard stem.utf8.count > viewBytes else { return stem }
        var ending = ""
        if let dot = stem.lastIndex(of: "."), stem[dot...].utf8.count <= longestEnding {
            ending = String(stem[dot...])
            stem = String(stem[..<dot])
        }
        while stem.utf8.count + ending.utf8.count > viewBytes { stem.removeLast() }
        return stem + ending
    }

    /// What NOTIFY says behind the host: one line, without what the original pastes into a script.
    ///
    /// It drops `$ " ' ;` itself; a backslash would take away the quote behind the text on macOS.
    package static func notice(title: String, body: String) -> String {
        let words = (title.isEmpty ? body : "\(title): \(body)").unicodeScalars.map { scalar -> Character in
            if scalar == "\\" { return "/" }
            return scalar.isInvisibleControl ? " " : Character(scalar)
        }
        // The original runs notify-send without `--`: a blank in front keeps text from being an option.
        return (words.first == "-" ? " " : "") + String(words)
    }
}
