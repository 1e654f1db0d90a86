// SPDX-License-Identifier: MIT

package import Archive
private import NIOCore

/// COMMITTED as it is kept at the laptop, for a sender that comes back with a finished transfer.
extension Committed {
    /// Bytes of an answer; it fits into a greeting.
    private static let keptLimit = 16 << 10

    /// The body of the message; without the names where they are very many.
    package var kept: [UInt8] {
        let body = encodedBody
        guard body.count > Self.keptLimit else { return body }
        var short = self
        short.names = []
        return short.encodedBody
    }

    private var encodedBody: [UInt8] {
        var bytes: [UInt8] = []
        Message.committed(self).encode(to: &bytes)
        return Array(bytes.dropFirst(8))
    }

    /// Reads what `kept` gave.
    package init(kept body: [UInt8]) throws(FormatError) {
        self = try body.withSpan { (span: RawSpan) throws(FormatError) in
            var reader = ByteReader(span)
            return try Committed(try Fields(from: &reader))
        }
    }
}
