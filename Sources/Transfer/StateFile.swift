// SPDX-License-Identifier: MIT

private import Archive
private import Codecs

/// A small file below `~/.rtun`: magic, version, digest and fields (`docs/archive-format.md` section 10).
///
/// Whoever reads one has it whole or not at all, however the machine went down.
struct StateFile {
    /// Eight ASCII letters.
    let magic: String
    /// Most bytes that a reader takes.
    let limit: Int

    private static let version: UInt32 = 1

    func encode(_ fields: Fields) throws -> [UInt8] {
        var body: [UInt8] = []
        fields.encode(to: &body)
        var bytes = Array(magic.utf8)
        bytes.append(u32: Self.version)
        bytes.append(digest: try body.withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) })
        return bytes + body
    }

    /// The fields; nil where the bytes are cut, damaged, or of another version.
    func decode(_ bytes: [UInt8]) -> Fields? {
        bytes.withSpan { span in
            var reader = ByteReader(span)
            guard (try? reader.take(magic.utf8.count).copy) == Array(magic.utf8),
                (try? reader.u32()) == Self.version,
                let digest = try? reader.digest()
            else { return nil }
            let body = reader.rest()
            guard (try? Digest(of: body)) == digest else { return nil }
            var fields = ByteReader(body)
            return try? Fields(from: &fields)
        }
    }
}
