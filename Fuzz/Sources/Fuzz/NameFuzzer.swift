// SPDX-License-Identifier: MIT

@testable import Archive

/// Names, link targets, numbered names, and the one printer for all that came from outside.
enum NameFuzzer {
    static func run(_ bytes: [UInt8]) {
        check(SafeText(bytes: bytes), bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        for limit in [0, 1, 7, 64] {
            precondition(SafeText(text, limit: limit).description.unicodeScalars.count <= limit, "over the limit")
            precondition(SafeText(bytes: bytes, limit: limit, layout: .block).description.unicodeScalars.count <= limit)
        }
        if SymlinkTarget.stays(text, inTreeAtDepth: 2) {
            precondition(!text.utf8.starts(with: "/".utf8) && depth(of: text) >= -2, "a target leaves the tree")
        }
        guard let name = try? EntryName(validating: bytes) else { return }
        precondition(Array(name.text.utf8) == bytes, "a name is its bytes")
        precondition(!bytes.contains { $0 < 0x20 || $0 == 0x2F || $0 == 0x7F } && text != "." && text != "..")
        for number in [2, 9_999] {
            for isFolder in [false, true] {
                let numbered = Publication.numbered(name.text, number, isFolder: isFolder)
                precondition((try? EntryName(validating: numbered.utf8)) != nil, "a numbered name is no name")
            }
        }
    }

    /// Nothing unsafe gets out, and what gets out is one line.
    private static func check(_ safe: SafeText, _ bytes: [UInt8]) {
        precondition(!safe.description.unicodeScalars.contains { $0.isUnsafeForDisplay }, "an unsafe scalar got out")
        precondition(safe.description.isEmpty == bytes.isEmpty, "text vanished")
    }

    /// The lowest folder that a path comes to, counted from where it starts.
    private static func depth(of path: String) -> Int {
        var depth = 0
        var lowest = 0
        for part in path.split(separator: "/") where part != "." {
            depth += part == ".." ? -1 : 1
            lowest = min(lowest, depth)
        }
        return lowest
    }
}
