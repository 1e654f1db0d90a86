// SPDX-License-Identifier: MIT

import Archive
import Descriptors

/// Standard output and standard error: results go to one, everything else to the other.
///
/// Whatever the other side said, and every path, passes `SafeText` on its way here. A stream that nobody reads any
/// more loses its text and fails nothing.
final class StandardStream: Sendable {
    static let output = StandardStream(1)
    static let error = StandardStream(2)

    private let descriptor: OwnedDescriptor
    private let number: Int32

    private init(_ number: Int32) {
        self.number = number
        descriptor = OwnedDescriptor(adopting: number)
    }

    var isTerminal: Bool { ProcessContext.isTerminal(number) }

    /// Columns; 80 where nobody says.
    var width: Int { ProcessContext.terminalWidth(number) ?? 80 }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        do throws(SystemError) {
            try bytes.withSpan { (span: RawSpan) throws(SystemError) in try descriptor.writeAll(span) }
        } catch {
            // There is nowhere left to say so.
        }
    }

    /// Passes on what a command wrote, as it is; throws where nobody reads it any more.
    func pass(_ bytes: RawSpan) throws(SystemError) {
        try descriptor.writePatiently(bytes)
    }

    func line(_ text: String) {
        write(text + "\n")
    }
}

/// Text from outside, fit for a terminal.
func safe(_ text: String) -> String {
    SafeText(text).description
}
