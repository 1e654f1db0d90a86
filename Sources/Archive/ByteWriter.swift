// SPDX-License-Identifier: MIT

package import Codecs

/// Writers for the integers and byte strings of `docs/archive-format.md` section 1, the mirror of `ByteReader`.
extension [UInt8] {
    package mutating func append(u16 value: UInt16) { append(fixedWidth: value) }
    package mutating func append(u32 value: UInt32) { append(fixedWidth: value) }
    package mutating func append(u64 value: UInt64) { append(fixedWidth: value) }

    /// Unsigned LEB128, shortest form.
    package mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// A signed number, zigzag-mapped.
    package mutating func append(svarint value: Int64) {
        append(varint: UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    /// A length and the bytes.
    package mutating func append(byteString bytes: some Collection<UInt8>) {
        append(varint: UInt64(bytes.count))
        append(contentsOf: bytes)
    }

    package mutating func append(text: String) {
        append(byteString: text.utf8)
    }

    package mutating func append(digest: Digest) {
        digest.append(to: &self)
    }

    /// Bytes that `append(varint:)` writes for `value`.
    package static func varintLength(_ value: UInt64) -> Int {
        Swift.max(1, (70 - value.leadingZeroBitCount) / 7)
    }

    private mutating func append(fixedWidth value: some FixedWidthInteger) {
        var rest = value
        for _ in 0..<(value.bitWidth / 8) {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}

extension [UInt8] {
    /// Lends the bytes as a `RawSpan`; `Array.span` needs a newer macOS than this project's floor.
    package func withSpan<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let result: Result<R, E> = unsafe withUnsafeBytes { raw in
            do throws(E) { return .success(try body(raw.bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
