// SPDX-License-Identifier: MIT

/// Contents with known behaviour under compression, the same on every run.
enum SampleBytes: String, CaseIterable, Sendable {
    case zeros
    case text
    case noise

    /// The first `count` bytes of this content.
    func make(_ count: Int) -> [UInt8] {
        switch self {
        case .zeros:
            return [UInt8](repeating: 0, count: count)
        case .text:
            let line = Array("The quick brown fox jumps over the lazy dog, 0123456789 times.\n".utf8)
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + line.count)
            while bytes.count < count { bytes += line }
            bytes.removeLast(bytes.count - count)
            return bytes
        case .noise:
            var state: UInt64 = 0x9E37_79B9_7F4A_7C15
            var words = [UInt64](repeating: 0, count: count / 8 + 1)
            for index in words.indices {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                words[index] = state
            }
            return words.withUnsafeBytes { Array($0.prefix(count)) }
        }
    }
}
