// SPDX-License-Identifier: MIT

/// What a web page or a style sheet refers to below its own folder (`docs/protocol.md` section 5.8).
///
/// No parser of HTML: it looks for `src`, `href`, `poster`, `data` and `srcset`, for `url(…)` and `@import`, wherever
/// they stand. What it finds too much is no file; what leads elsewhere is left out here, whatever wrote it.
struct PageReferences {
    /// Names from the page's folder down, without repetition, in the order of the page.
    private(set) var paths: [[String]] = []
    private var seen: Set<[String]> = []

    /// Endings that are looked for; the laptop takes no other ones.
    static let types: Set<String> = [
        "html", "htm", "css", "js", "mjs", "json", "map", "txt", "csv", "tsv", "pdf",
        "png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "bmp", "avif",
        "woff", "woff2", "ttf", "otf", "eot", "mp4", "webm",
    ]
    private static let attributes = ["src", "href", "poster", "data", "srcset", "data-src"]

    /// `folder` is where the text stands, below the page's own.
    init(in text: [UInt8], of folder: [String]) {
        var position = 0
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "="):
                if let value = Self.attribute(text, equals: position) { add(value, folder) }
            case UInt8(ascii: "("):
                if Self.ends(text[..<position], with: "url") {
                    add(Self.value(text, from: position + 1, to: ")"), folder)
                }
            case UInt8(ascii: "@"):
                if text[(position + 1)...].starts(with: "import".utf8) {
                    add(Self.value(text, from: position + 7, to: ";"), folder)
                }
            default: break
            }
            position += 1
        }
    }

    /// The value behind an equals sign of one of the attributes; nil for any other.
    private static func attribute(_ text: [UInt8], equals: Int) -> String? {
        var end = equals
        while end > 0, isSpace(text[end - 1]) { end -= 1 }
        guard attributes.contains(where: { ends(text[..<end], with: $0) }) else { return nil }
        return value(text, from: equals + 1, to: ">")
    }

    private static func ends(_ text: ArraySlice<UInt8>, with word: String) -> Bool {
        let tail = text.suffix(word.utf8.count)
        guard tail.map({ $0 | 0x20 }).elementsEqual(word.utf8.map { $0 | 0x20 }) else { return false }
        guard let before = text.dropLast(word.utf8.count).last else { return true }
        return !(before == UInt8(ascii: "-") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(before | 0x20))
    }

    /// A value in quotes, or up to white space or the end given; of at most 4,096 bytes.
    private static func value(_ text: [UInt8], from start: Int, to end: Character) -> String {
        var start = start
        while start < text.count, isSpace(text[start]) { start += 1 }
        guard start < text.count else { return "" }
        let quote = text[start]
        let bytes: ArraySlice<UInt8>
        if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            bytes = text[(start + 1)...].prefix(4_096).prefix { $0 != quote }
        } else {
            bytes = text[start...].prefix(4_096).prefix { !isSpace($0) && $0 != end.asciiValue }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    /// Of `srcset` each address; of any other value it as a whole, and what looks like one of several is no file.
    private mutating func add(_ value: String, _ folder: [String]) {
        // Contents, not an address, and with commas of its own.
        guard !value.lowercased().hasPrefix("data:") else { return }
        note(value, folder)
        guard value.utf8.contains(UInt8(ascii: ",")) else { return }
        for part in value.split(separator: ",") {
            if let address = part.split(whereSeparator: \.isWhitespace).first { note(String(address), folder) }
        }
    }

    private mutating func note(_ address: String, _ folder: [String]) {
        guard let names = Self.names(address) else { return }
        let path = folder + names
        if seen.insert(path).inserted { paths.append(path) }
    }

    /// The names of a relative address that leads down; nil for any other.
    static func names(_ address: String) -> [String]? {
        let plain = address.prefix { $0 != "?" && $0 != "#" }
        guard !plain.isEmpty, !plain.hasPrefix("/"), let decoded = decode(plain) else { return nil }
        var names: [String] = []
        for part in decoded.split(separator: "/", omittingEmptySubsequences: false) where part != "." {
            // A hidden file, `..`, an empty name, a scheme with its colon, or a path of another system.
            guard let first = part.first, first != ".", !part.contains(where: { $0 == ":" || $0 == "\\" }) else {
                return nil
            }
            names.append(String(part))
        }
        guard let last = names.last, let dot = last.lastIndex(of: "."),
            types.contains(last[last.index(after: dot)...].lowercased())
        else { return nil }
        return names
    }

    /// Percent signs with two digits become bytes; nil where that is no text.
    private static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let digits = String(rest.prefix(2)), digits.utf8.count == 2,
                let value = UInt8(digits, radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
