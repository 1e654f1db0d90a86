// SPDX-License-Identifier: MIT

package import Codecs

/// Reads the integers and byte strings of `docs/archive-format.md` section 1 from borrowed bytes.
///
/// Every read checks the length first and throws `FormatError`; nothing is allocated but by `text`.
package struct ByteReader: ~Escapable {
    private let bytes: RawSpan
    private var offset = 0

    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan) {
        self.bytes = bytes
    }

    /// Bytes that have not been read yet.
    package var remaining: Int { bytes.byteCount - offset }

    package var isAtEnd: Bool { remaining == 0 }

    package mutating func u8() throws(FormatError) -> UInt8 {
        guard remaining >= 1 else { throw FormatError("ends inside a field") }
        defer { offset += 1 }
        // In bounds: checked on the line above.
        return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    package mutating func u16() throws(FormatError) -> UInt16 { try fixedWidth() }
    package mutating func u32() throws(FormatError) -> UInt32 { try fixedWidth() }
    package mutating func u64() throws(FormatError) -> UInt64 { try fixedWidth() }

    /// Reads reserved bytes, which a writer leaves 0.
    package mutating func reserved(_ count: Int) throws(FormatError) {
        for _ in 0..<count where try u8() != 0 {
            throw FormatError("a reserved byte is not 0")
        }
    }

    /// An unsigned LEB128 number in its shortest form, at most `limit`.
    package mutating func varint(_ field: StaticString, atMost limit: UInt64 = .max) throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try u8()
            let group = UInt64(byte & 0x7F)
            guard shift < 63 || (shift == 63 && group <= 1) else { throw FormatError("\(field) does not fit 64 bits") }
            value |= group << shift
            if byte & 0x80 == 0 {
                guard byte != 0 || shift == 0 else { throw FormatError("\(field) is not in its shortest form") }
                guard value <= limit else { throw FormatError("\(field) is over its limit") }
                return value
            }
            shift += 7
        }
    }

    /// A zigzag-mapped signed number.
    package mutating func svarint(_ field: StaticString) throws(FormatError) -> Int64 {
        let mapped = try varint(field)
        return Int64(bitPattern: mapped >> 1) ^ -Int64(bitPattern: mapped & 1)
    }

    /// The next `count` bytes, borrowed.
    @_lifetime(copy self)
    package mutating func take(_ count: Int, _ field: StaticString = "a field") throws(FormatError) -> RawSpan {
        guard count >= 0, count <= remaining else { throw FormatError("\(field) is longer than what holds it") }
        defer { offset += count }
        return bytes.extracting(offset..<(offset + count))
    }

    /// A length and that many bytes, borrowed; at most `limit` of them.
    @_lifetime(copy self)
    package mutating func byteString(_ field: StaticString, atMost limit: Int) throws(FormatError) -> RawSpan {
        let count = try varint(field, atMost: UInt64(limit))
        return try take(Int(count), field)
    }

    /// A length and that many bytes of valid UTF-8; at most `limit` bytes.
    package mutating func text(_ field: StaticString, atMost limit: Int) throws(FormatError) -> String {
        let span = try byteString(field, atMost: limit)
        guard let text = span.validUTF8 else { throw FormatError("\(field) is not valid UTF-8") }
        return text
    }

    package mutating func digest() throws(FormatError) -> Digest {
        let span = try take(Digest.byteCount, "a digest")
        guard let digest = Digest(bytes: span) else { throw FormatError("a digest is not 32 bytes long") }
        return digest
    }

    /// All bytes that are left, borrowed.
    @_lifetime(copy self)
    package mutating func rest() -> RawSpan {
        defer { offset = bytes.byteCount }
        return bytes.extracting(offset..<bytes.byteCount)
    }

    private mutating func fixedWidth<T: FixedWidthInteger & BitwiseCopyable>() throws(FormatError) -> T {
        let width = MemoryLayout<T>.size
        guard remaining >= width else { throw FormatError("ends inside a field") }
        defer { offset += width }
        // In bounds: checked above; unaligned loads are what this call is for.
        return T(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension RawSpan {
    /// The bytes as text, or nil where they are not valid UTF-8.
    package var validUTF8: String? {
        unsafe withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    }

    /// A copy of the bytes.
    package var copy: [UInt8] {
        unsafe withUnsafeBytes { unsafe [UInt8]($0) }
    }
}
