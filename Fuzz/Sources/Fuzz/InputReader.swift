// SPDX-License-Identifier: MIT

/// Takes a fuzzer's input apart: what is missing reads as 0, so every input means something.
struct InputReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        rest = bytes[...]
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func number() -> UInt64 { (0..<8).reduce(0) { value, _ in value << 8 | UInt64(byte()) } }

    /// At most `count` bytes.
    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    /// Bytes behind a length of one byte.
    mutating func string() -> [UInt8] { bytes(Int(byte())) }

    mutating func remainder() -> [UInt8] { bytes(rest.count) }
}
