// SPDX-License-Identifier: MIT

/// Checks that a file is text all through: valid UTF-8 without controls other than tab, line feed and carriage return.
///
/// Blocks may end anywhere, also inside a scalar.
struct TextScanner {
    /// UTF-8's byte order mark, which Excel writes before CSV.
    static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    private let isJSON: Bool
    /// Continuation bytes that the current scalar still needs.
    private var missing = 0
    /// The range that the next continuation byte must be in (Unicode 3.9, table 3-7).
    private var expected: ClosedRange<UInt8> = 0x80...0xBF
    /// The first bytes after white space and byte order marks, in lower case; as many as the longest opening needs.
    private var opening: [UInt8] = []
    /// How many bytes of a byte order mark were just seen.
    private var markLength = 0

    /// Makes a scanner at the beginning of a file; of JSON, the first character is checked too.
    init(isJSON: Bool) {
        self.isJSON = isJSON
    }

    /// Takes the next bytes; false if they are not text.
    mutating func consume(_ bytes: ArraySlice<UInt8>) -> Bool {
        var position = bytes.startIndex
        while opening.count < Self.openingLength, position < bytes.endIndex {
            note(bytes[position])
            position += 1
        }
        return bytes.withUnsafeBufferPointer { checksText($0) }
    }

    /// True if the file begins, after white space, as HTML, SVG or XML does.
    var beginsAsMarkup: Bool {
        Self.markup.contains { opening.starts(with: $0.utf8) }
    }

    /// True if no scalar is cut off at the end and JSON begins as JSON does.
    var isWhole: Bool {
        guard missing == 0 else { return false }
        guard isJSON else { return true }
        return opening.first.map { "{[\"-0123456789tfn".utf8.contains($0) } ?? false
    }

    private static let markup = ["<html", "<svg", "<?xml", "<!doctype", "<script"]
    private static let openingLength = 9

    private mutating func note(_ byte: UInt8) {
        if opening.isEmpty {
            // A mark after white space shows as nothing too, so it hides no opening.
            if byte == Self.byteOrderMark[markLength] {
                markLength = (markLength + 1) % Self.byteOrderMark.count
                return
            }
            markLength = 0
            if [0x20, 0x09, 0x0A, 0x0D].contains(byte) { return }
        }
        opening.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
    }

    private mutating func checksText(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in bytes {
            if missing > 0 {
                guard expected.contains(byte) else { return false }
                expected = 0x80...0xBF
                missing -= 1
                continue
            }
            switch byte {
            case 0x20...0x7E, 0x09, 0x0A, 0x0D: continue
            case 0xC2: start(1, 0xA0...0xBF)  // from 0x80 on these are the C1 controls
            case 0xC3...0xDF: start(1, 0x80...0xBF)
            case 0xE0: start(2, 0xA0...0xBF)
            case 0xE1...0xEC, 0xEE, 0xEF: start(2, 0x80...0xBF)
            case 0xED: start(2, 0x80...0x9F)
            case 0xF0: start(3, 0x90...0xBF)
            case 0xF1...0xF3: start(3, 0x80...0xBF)
            case 0xF4: start(3, 0x80...0x8F)
            default: return false
            }
        }
        return true
    }

    private mutating func start(_ count: Int, _ range: ClosedRange<UInt8>) {
        missing = count
        expected = range
    }
}
