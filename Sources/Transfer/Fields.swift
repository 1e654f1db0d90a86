// SPDX-License-Identifier: MIT

package import Archive

/// The "fields" body of a message: tagged byte strings, tags ascending (`docs/protocol.md` section 3).
package struct Fields: Sendable, Hashable {
    private struct Field: Sendable, Hashable {
        let tag: UInt64
        let bytes: [UInt8]
    }

    private var fields: [Field] = []

    package init() {}

    package init(from reader: inout ByteReader) throws(FormatError) {
        while !reader.isAtEnd {
            let tag = try reader.varint("tag")
            guard tag >= fields.last?.tag ?? 0 else { throw FormatError("the fields of a message are out of order") }
            fields.append(Field(tag: tag, bytes: try reader.byteString("field", atMost: reader.remaining).copy))
        }
    }

    package func encode(to output: inout [UInt8]) {
        for field in fields {
            output.append(varint: field.tag)
            output.append(byteString: field.bytes)
        }
    }

    // MARK: - Writing, in the order of tags

    package mutating func set(_ tag: UInt64, bytes: [UInt8]) {
        precondition(tag >= fields.last?.tag ?? 0, "fields are written in the order of their tags")
        fields.append(Field(tag: tag, bytes: bytes))
    }

    package mutating func set(_ tag: UInt64, text: String) { set(tag, bytes: Array(text.utf8)) }

    package mutating func set(_ tag: UInt64, number: UInt64) {
        var bytes: [UInt8] = []
        bytes.append(varint: number)
        set(tag, bytes: bytes)
    }

    // MARK: - Reading

    /// The bytes of a field that may stand once, exactly `count` of them; nil where it is missing.
    package func bytes(_ tag: UInt64, count: Int) throws(FormatError) -> [UInt8]? {
        guard let bytes = try single(tag) else { return nil }
        guard bytes.count == count else { throw FormatError("field \(tag) has the wrong length") }
        return bytes
    }

    package func number(_ tag: UInt64) throws(FormatError) -> UInt64? {
        guard let bytes = try single(tag) else { return nil }
        return try bytes.withSpan { span throws(FormatError) in
            var reader = ByteReader(span)
            let number = try reader.varint("number in a field")
            guard reader.isAtEnd else { throw FormatError("field \(tag) is longer than its number") }
            return number
        }
    }

    package func text(_ tag: UInt64, atMost limit: Int) throws(FormatError) -> String? {
        guard let bytes = try single(tag) else { return nil }
        return try Self.text(bytes, tag, limit)
    }

    /// All texts of a field that may be repeated.
    package func texts(_ tag: UInt64, atMost limit: Int) throws(FormatError) -> [String] {
        var texts: [String] = []
        for field in fields where field.tag == tag { texts.append(try Self.text(field.bytes, tag, limit)) }
        return texts
    }

    /// The bytes of every field of that tag.
    package func all(_ tag: UInt64) -> [[UInt8]] { fields.filter { $0.tag == tag }.map { $0.bytes } }

    /// A value that must be there.
    package static func require<T>(_ value: T?, _ name: StaticString) throws(FormatError) -> T {
        guard let value else { throw FormatError("\(name) is missing") }
        return value
    }

    private func single(_ tag: UInt64) throws(FormatError) -> [UInt8]? {
        var found: [UInt8]?
        for field in fields where field.tag == tag {
            guard found == nil else { throw FormatError("field \(tag) stands twice") }
            found = field.bytes
        }
        return found
    }

    private static func text(_ bytes: [UInt8], _ tag: UInt64, _ limit: Int) throws(FormatError) -> String {
        guard bytes.count <= limit, let text = String(validating: bytes, as: UTF8.self) else {
            throw FormatError("the text of field \(tag)")
        }
        return text
    }
}
