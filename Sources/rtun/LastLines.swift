// SPDX-License-Identifier: MIT

/// The end of what a command wrote, for a notification; holds at most 16 KiB, whatever passes through.
struct LastLines {
    private static let capacity = 8 << 10

    /// At most twice the capacity.
    private var bytes: [UInt8] = []

    /// Takes what was written next.
    mutating func append(_ more: RawSpan) {
        let dropped = max(0, more.byteCount - Self.capacity)
        for index in dropped..<more.byteCount {
            bytes.append(more.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self))
        }
        if bytes.count > Self.capacity { bytes.removeFirst(bytes.count - Self.capacity) }
    }

    /// The last lines that say something, at most `count`, each cut to `width` scalars.
    ///
    /// Of a line that was drawn over itself (`\r`) only the last state counts; colours and other sequences of a
    /// terminal are left out.
    func text(lines count: Int, width: Int) -> String {
        var kept: [String] = []
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewlineOrReturnPair).reversed() {
            let last = line.split(separator: "\r").last ?? ""
            let words = Self.withoutSequences(last)
            guard words.contains(where: { !$0.isWhitespace }) else { continue }
            kept.append(words.unicodeScalars.count > width ? String(words.prefix(width - 1)) + "…" : words)
            if kept.count == count { break }
        }
        return kept.reversed().joined(separator: "\n")
    }

    /// Leaves out what begins with ESC: `ESC [ … letter`, `ESC ] … BEL` or `ESC \`, `ESC` and one character.
    private static func withoutSequences(_ line: Substring) -> String {
        var result = String.UnicodeScalarView()
        var scalars = line.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "\u{1B}" else {
                if scalar != "\u{8}" { result.append(scalar) }
                continue
            }
            switch scalars.next() {
            case "[": while let next = scalars.next(), !("@"..."~").contains(next) {}
            case "]": while let next = scalars.next(), next != "\u{7}", next != "\\" {}
            default: break
            }
        }
        return String(result)
    }
}

extension Character {
    /// `\n` and `\r\n`; a lone `\r` goes back to the start of its line.
    fileprivate var isNewlineOrReturnPair: Bool { self == "\n" || self == "\r\n" }
}
