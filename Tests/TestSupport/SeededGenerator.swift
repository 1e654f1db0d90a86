// SPDX-License-Identifier: MIT

/// Random numbers that are the same on every run with the same seed (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts a sequence; a test prints its seed when it fails.
    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Bytes that no compressor makes smaller.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Lines of words, which compress as text does.
    package mutating func text(_ count: Int) -> [UInt8] {
        let words = ["sample", "epoch", "loss", "0.01", "accuracy", "layer", "gradient", "42", "batch", "nan"]
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 16)
        while bytes.count < count {
            let number = next()
            bytes.append(contentsOf: words[Int(number % UInt64(words.count))].utf8)
            bytes.append(number % 7 == 0 ? UInt8(ascii: "\n") : UInt8(ascii: " "))
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
