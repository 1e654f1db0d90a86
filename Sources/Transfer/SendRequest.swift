// SPDX-License-Identifier: MIT

package import Archive
package import Codecs

/// What one `rtun send` was asked for, in full: equal requests are the same send, from whatever folder, login or process.
///
/// How it is packed and shown (codec, channels, progress) is no part of it.
package struct SendRequest: Sendable, Hashable {
    /// Absolute paths, in the order given.
    package var sources: [String]
    /// `-o`, as typed.
    package var output: String?
    package var isRecursive = false
    package var copiesLinks = false
    package var skipsLinks = false
    package var excludes: [String] = []
    package var includes: [String] = []
    /// Contents of the pattern files.
    package var excludeFiles: [[UInt8]] = []
    package var conflict = ConflictRule.auto

    /// Bytes of a path, a pattern or `-o`.
    package static let textLimit = 4_096
    /// Bytes of all that a request may be.
    package static let byteLimit = 32 << 20

    package init(sources: [String]) {
        self.sources = sources
    }

    /// The digest from which every name of the send is made.
    package func digest(inbox: [UInt8] = []) throws(CodecError) -> Digest {
        try (encoded + inbox).withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) }
    }

    /// The 16 bytes that OPEN carries.
    package func name() throws(CodecError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(digest: try digest())
        return Array(bytes.prefix(16))
    }

    /// The name of the send towards one laptop: 16 hex digits.
    package func identifier(inbox: [UInt8]) throws(CodecError) -> String {
        String(try digest(inbox: inbox).description.prefix(16))
    }

    // MARK: - Encoding

    package var encoded: [UInt8] {
        var fields = Fields()
        for source in sources { fields.set(1, text: source) }
        if let output { fields.set(2, text: output) }
        fields.set(3, number: (isRecursive ? 1 : 0) | (copiesLinks ? 2 : 0) | (skipsLinks ? 4 : 0))
        for pattern in excludes { fields.set(4, text: pattern) }
        for pattern in includes { fields.set(5, text: pattern) }
        for contents in excludeFiles { fields.set(6, bytes: contents) }
        if conflict != .auto { fields.set(7, number: conflict.rawValue) }
        var bytes: [UInt8] = []
        fields.encode(to: &bytes)
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(FormatError) {
        let fields = try bytes.withSpan { (span: RawSpan) throws(FormatError) in
            var reader = ByteReader(span)
            return try Fields(from: &reader)
        }
        sources = try fields.texts(1, atMost: Self.textLimit)
        guard !sources.isEmpty, sources.allSatisfy({ $0.hasPrefix("/") }) else {
            throw FormatError("a request without sources")
        }
        output = try fields.text(2, atMost: Self.textLimit)
        let flags = try fields.number(3) ?? 0
        isRecursive = flags & 1 != 0
        copiesLinks = flags & 2 != 0
        skipsLinks = flags & 4 != 0
        excludes = try fields.texts(4, atMost: Self.textLimit)
        includes = try fields.texts(5, atMost: Self.textLimit)
        excludeFiles = fields.all(6)
        guard let conflict = ConflictRule(rawValue: try fields.number(7) ?? 0) else {
            throw FormatError("an unknown rule for conflicts")
        }
        self.conflict = conflict
    }
}
