// SPDX-License-Identifier: MIT

/// Finds the line on which a setting stands, for messages: the TOML library tells lines of its own errors alone.
///
/// It reads headers and keys line by line. Where a setting hides in an inline table or behind a line break inside a
/// value, the answer is the line of what holds it.
struct SettingLocator {
    private let lines: [Substring]

    init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The first line, from 1, that names the setting, or else the longest beginning of its path.
    func line(of path: [String]) -> Int? {
        var table: [String] = []
        var best: (line: Int, length: Int)?
        for (index, line) in lines.enumerated() {
            let line = line.drop { $0 == " " || $0 == "\t" }
            let named: [String]
            if line.hasPrefix("[") {
                table = Self.names(in: line.drop { $0 == "[" }, until: "]")
                named = table
            } else if line.isEmpty || line.hasPrefix("#") || !line.contains("=") {
                continue
            } else {
                named = table + Self.names(in: line, until: "=")
            }
            if path.starts(with: named), named.count > best?.length ?? 0 { best = (index + 1, named.count) }
        }
        return best?.line
    }

    /// Dotted names, bare or quoted.
    private static func names(in text: Substring, until end: Character) -> [String] {
        var names: [String] = []
        var name = ""
        var quote: Character?
        for character in text {
            if let open = quote {
                if character == open { quote = nil } else { name.append(character) }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == end {
                break
            } else if character == "." {
                names.append(name)
                name = ""
            } else if character != " ", character != "\t" {
                name.append(character)
            }
        }
        return names + [name]
    }
}

extension [String] {
    /// The word that is at most two slips away (Levenshtein), for "did you mean".
    func nearest(to word: String) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        let near = map { (word: $0, distance: $0.distance(to: word)) }.min { $0.distance < $1.distance }
        return near.flatMap { $0.distance <= 2 ? $0.word : nil }
    }
}

extension String {
    fileprivate func distance(to other: String) -> Int {
        let (left, right) = (Array(utf8), Array(other.utf8))
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let substituted = diagonal + (byte == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = Swift.min(substituted, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }
}
