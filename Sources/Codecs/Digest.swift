// SPDX-License-Identifier: MIT

/// A SHA-256 digest.
///
/// Stored as four words, each loaded big-endian, so that comparing words compares bytes, and hashing one costs four
/// integers. 32 bytes, no allocation.
package struct Digest: Sendable, Hashable {
    /// The length of a digest in bytes.
    package static let byteCount = 32

    /// Bytes 0 to 7 as a big-endian number, and so on.
    private let word0: UInt64
    private let word1: UInt64
    private let word2: UInt64
    private let word3: UInt64

    /// Takes the four words as they lie in memory, in the byte order of the digest.
    init(memory words: (UInt64, UInt64, UInt64, UInt64)) {
        word0 = UInt64(bigEndian: words.0)
        word1 = UInt64(bigEndian: words.1)
        word2 = UInt64(bigEndian: words.2)
        word3 = UInt64(bigEndian: words.3)
    }

    /// Reads a digest from exactly ``byteCount`` bytes; nil for any other number.
    package init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        word0 = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
        word1 = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self))
        word2 = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 16, as: UInt64.self))
        word3 = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 24, as: UInt64.self))
    }

    /// Reads a digest from exactly 64 hexadecimal digits of either case; nil for anything else.
    package init?(hex: some StringProtocol) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var digitCount = 0
        for digit in hex.utf8 {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
            default: return nil
            }
            switch digitCount / 16 {
            case 0: words.0 = words.0 << 4 | UInt64(value)
            case 1: words.1 = words.1 << 4 | UInt64(value)
            case 2: words.2 = words.2 << 4 | UInt64(value)
            case 3: words.3 = words.3 << 4 | UInt64(value)
            default: return nil
            }
            digitCount += 1
        }
        guard digitCount == 2 * Self.byteCount else { return nil }
        (word0, word1, word2, word3) = words
    }

    /// The digest of `bytes`, through a ``Digester`` of its own.
    ///
    /// - Throws: `libraryFailure` from libcrypto.
    package init(of bytes: RawSpan) throws(CodecError) {
        var digester = Digester()
        self = try digester.digest(bytes)
    }

    /// Lends the ``byteCount`` bytes of the digest, in order, for the time of `body`.
    package func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let words = (word0.bigEndian, word1.bigEndian, word2.bigEndian, word3.bigEndian)
        return try unsafe withUnsafeBytes(of: words) { (buffer) throws(E) -> R in
            try body(unsafe buffer.bytes)
        }
    }

    /// The first eight bytes as a number: a key for tables, which must compare the digest itself.
    package var prefix: UInt64 { word0 }

    /// Appends the ``byteCount`` bytes of the digest to `array`.
    package func append(to array: inout [UInt8]) {
        withBytes { bytes in
            unsafe bytes.withUnsafeBytes { buffer in unsafe array.append(contentsOf: buffer) }
        }
    }
}

extension Digest: Comparable {
    /// Compares bytewise, as `memcmp(3)` does.
    package static func < (left: Digest, right: Digest) -> Bool {
        (left.word0, left.word1, left.word2, left.word3) < (right.word0, right.word1, right.word2, right.word3)
    }
}

extension Digest: CustomStringConvertible {
    /// 64 hexadecimal digits in lower case.
    package var description: String {
        unsafe String(unsafeUninitializedCapacity: 2 * Self.byteCount) { buffer in
            withBytes { bytes in
                for position in 0..<2 * Self.byteCount {
                    let byte = unsafe bytes.unsafeLoad(fromByteOffset: position / 2, as: UInt8.self)
                    let value = position.isMultiple(of: 2) ? byte >> 4 : byte & 0xF
                    unsafe buffer[position] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                }
                return 2 * Self.byteCount
            }
        }
    }
}
