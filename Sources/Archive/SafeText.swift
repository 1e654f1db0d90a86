// SPDX-License-Identifier: MIT

/// Text from the other side, made safe to print: the one printer for terminals, logs and notifications, at both ends.
///
/// What could steer a terminal, hide, or reorder what stands beside it is written as an escape. The result is one line
/// (unless the caller asks for a block), and two different inputs never look alike:
///
/// | input | shown as |
/// |---|---|
/// | tab, line feed, carriage return | `\t`, `\n`, `\r` |
/// | any other ASCII control, and each byte that is not UTF-8 | `\xNN` |
/// | any other unsafe scalar (`Unicode.Scalar.isUnsafeForDisplay`) | `\u{NNNN}` |
/// | backslash | `\\`, always; otherwise an escape and its spelling would be the same name |
package struct SafeText: CustomStringConvertible, Sendable, Hashable {
    /// How line feeds and tabs are treated.
    package enum Layout: Sendable {
        /// One line: line feeds and tabs are escaped.
        case line
        /// Several lines: line feeds and tabs stay, a carriage return before a line feed is dropped.
        case block
    }

    /// The printable text.
    package let description: String

    /// Makes `text` printable.
    ///
    /// - Parameters:
    ///   - text: what the peer, or a file name, said.
    ///   - limit: the largest number of Unicode scalars in the result; what is longer ends in `…`, and no escape is
    ///     cut in the middle. `nil` means no limit.
    ///   - layout: whether line feeds and tabs may stay.
    package init(_ text: some StringProtocol, limit: Int? = nil, layout: Layout = .line) {
        var printer = Printer(limit: limit, layout: layout)
        for scalar in text.unicodeScalars {
            guard printer.print(scalar) else { break }
        }
        self.description = printer.finish()
    }

    /// Makes bytes printable that should be UTF-8 but may not be.
    ///
    /// - Parameters:
    ///   - bytes: what arrived; only as many as can matter under `limit` are read.
    ///   - limit: as in `init(_:limit:layout:)`.
    ///   - layout: whether line feeds and tabs may stay.
    package init(bytes: some Sequence<UInt8>, limit: Int? = nil, layout: Layout = .line) {
        // No scalar needs more than four bytes, so this many always overfill the limit if there is more to come.
        let (enough, overflow) = max(0, limit ?? .max).multipliedReportingOverflow(by: 4)
        let bytes = overflow || enough > .max - 8 ? Array(bytes) : Array(bytes.prefix(enough + 8))
        var printer = Printer(limit: limit, layout: layout)
        var parser = Unicode.UTF8.ForwardParser()
        var source = bytes.makeIterator()
        var position = 0
        parsing: while true {
            switch parser.parseScalar(from: &source) {
            case .valid(let encoded):
                position += encoded.count
                guard printer.print(Unicode.UTF8.decode(encoded)) else { break parsing }
            case .error(let length):
                for byte in bytes[position..<position + length] {
                    guard printer.print(byte: byte) else { break parsing }
                }
                position += length
            case .emptyInput:
                break parsing
            }
        }
        self.description = printer.finish()
    }
}

/// Collects the output and stops at the limit.
private struct Printer {
    private let limit: Int
    private let layout: SafeText.Layout
    /// Output of at most `limit - 1` scalars, to which `…` can still be added.
    private var kept = ""
    private var count = 0
    /// Output that fits only if nothing follows it.
    private var tail = ""
    private var isTruncated = false
    private var hasPendingReturn = false

    init(limit: Int?, layout: SafeText.Layout) {
        self.limit = max(0, limit ?? .max)
        self.layout = layout
    }

    /// Adds one scalar; false once the limit is passed.
    mutating func print(_ scalar: Unicode.Scalar) -> Bool {
        if layout == .block {
            if hasPendingReturn {
                hasPendingReturn = false
                if scalar != "\n", !append("\\r") { return false }
            }
            switch scalar {
            case "\r":
                hasPendingReturn = true
                return true
            case "\n", "\t":
                return append(String(scalar))
            default:
                break
            }
        }
        switch scalar {
        case "\\": return append("\\\\")
        case "\t": return append("\\t")
        case "\n": return append("\\n")
        case "\r": return append("\\r")
        case _ where !scalar.isUnsafeForDisplay: return append(String(scalar))
        case _ where scalar.isASCII: return print(byte: UInt8(truncatingIfNeeded: scalar.value))
        default: return append("\\u{\(String(scalar.value, radix: 16))}")
        }
    }

    /// Adds one byte as `\xNN`; false once the limit is passed.
    mutating func print(byte: UInt8) -> Bool {
        if hasPendingReturn {
            hasPendingReturn = false
            guard append("\\r") else { return false }
        }
        let digits = String(byte, radix: 16)
        return append(byte < 0x10 ? "\\x0\(digits)" : "\\x\(digits)")
    }

    /// The whole output.
    mutating func finish() -> String {
        if hasPendingReturn { _ = append("\\r") }
        guard isTruncated else { return kept + tail }
        return limit == 0 ? "" : kept + "…"
    }

    private mutating func append(_ unit: String) -> Bool {
        let total = count + unit.unicodeScalars.count
        if isTruncated || total > limit {
            isTruncated = true
            return false
        }
        count = total
        if total < limit {
            kept += unit
        } else {
            tail += unit
        }
        return true
    }
}

extension Unicode.Scalar {
    /// True for what must never reach a terminal, a log or a notification as it is: everything that is `isInvisibleControl`,
    /// and what has no agreed appearance (unassigned, noncharacter, private use).
    ///
    /// Variation selectors stay, because ordinary emoji carry them.
    package var isUnsafeForDisplay: Bool {
        if isASCII { return value < 0x20 || value == 0x7F }
        if isInvisibleControl { return true }
        switch properties.generalCategory {
        case .unassigned, .privateUse, .surrogate: return true
        default: return false
        }
    }

    /// True for controls, direction and tag characters, line separators, and everything of no width that is not a
    /// variation selector: what is invisible itself and changes how its neighbours are read.
    package var isInvisibleControl: Bool {
        if isASCII { return value < 0x20 || value == 0x7F }
        switch value {
        case 0xFE00...0xFE0F, 0xE0100...0xE01EF: return false  // variation selectors
        case 0x180B...0x180D, 0x180F: return false  // Mongolian variation selectors
        case 0xE0000...0xE0FFF: return true  // tags and the rest of their block
        default: break
        }
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator:
            return true
        case .format:
            // Signs such as U+0600 ARABIC NUMBER SIGN are of this category but are drawn.
            return !isPrependedMark
        default:
            return properties.isDefaultIgnorableCodePoint
        }
    }

    /// The Unicode property Prepended_Concatenation_Mark, which the standard library does not offer.
    private var isPrependedMark: Bool {
        switch value {
        case 0x0600...0x0605, 0x06DD, 0x070F, 0x0890...0x0891, 0x08E2, 0x110BD, 0x110CD: true
        default: false
        }
    }
}
