// SPDX-License-Identifier: MIT

/// A zstd frame put together by hand, field by field (RFC 8878), so that it can lie.
struct ZstdFrame {
    /// The window descriptor of exactly 8 MiB, the largest window allowed.
    static let window8MiB: UInt8 = (23 - 10) << 3

    var magic: UInt32 = 0xFD2F_B528
    var descriptor: UInt8 = 0
    /// Window descriptor, dictionary number and content size.
    var fields: [UInt8] = [window8MiB]
    var blocks: [UInt8] = []

    /// Appends a raw block.
    mutating func appendRaw(_ bytes: [UInt8], isLast: Bool) {
        appendBlockHeader(size: bytes.count, type: 0, isLast: isLast)
        blocks += bytes
    }

    /// Appends a block that repeats one byte.
    mutating func appendRun(of byte: UInt8, count: Int, isLast: Bool) {
        appendBlockHeader(size: count, type: 1, isLast: isLast)
        blocks.append(byte)
    }

    private mutating func appendBlockHeader(size: Int, type: Int, isLast: Bool) {
        let header = UInt32(size << 3 | type << 1 | (isLast ? 1 : 0))
        blocks += littleEndian(header).prefix(3)
    }

    /// The frame as it travels.
    var bytes: [UInt8] { littleEndian(magic) + [descriptor] + fields + blocks }

    /// 8 KiB that decode to 256 MiB of zeros.
    static func bomb(descriptor: UInt8, fields: [UInt8]) -> [UInt8] {
        var frame = ZstdFrame(descriptor: descriptor, fields: fields)
        for index in 0..<2048 { frame.appendRun(of: 0, count: 128 << 10, isLast: index == 2047) }
        return frame.bytes
    }
}

/// The four bytes of a number as zstd writes them.
func littleEndian(_ number: UInt32) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
