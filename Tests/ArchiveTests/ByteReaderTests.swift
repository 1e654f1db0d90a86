// SPDX-License-Identifier: MIT

import Archive
import Testing

struct ByteReaderTests {
    /// Each step in the length of a varint, and its neighbours.
    static let varints: [UInt64] =
        edges
        + (1...9).flatMap { (groups: UInt64) -> [UInt64] in
            let step: UInt64 = 1 << (7 * groups)
            return [step - 1, step, step + 1]
        }

    @Test(arguments: varints) func `a varint comes back and is as short as its value allows`(_ value: UInt64) throws {
        var bytes: [UInt8] = []
        bytes.append(varint: value)
        let length = max(1, (64 - value.leadingZeroBitCount + 6) / 7)
        #expect(bytes.count == length)
        #expect([UInt8].varintLength(value) == length)
        #expect(bytes.dropLast().allSatisfy { $0 >= 0x80 } && bytes[length - 1] < 0x80)
        #expect(try read(bytes) { reader throws(FormatError) in try reader.varint("value") } == value)
        for count in 0..<length {
            #expect(varintFailure(Array(bytes.prefix(count))) == "ends inside a field", "cut to \(count) bytes")
        }
    }

    @Test(
        arguments: [
            ([0x80, 0x00], "value is not in its shortest form"),
            ([0xFF, 0x80, 0x00], "value is not in its shortest form"),
            ([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], "value is not in its shortest form"),
            ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "value does not fit 64 bits"),
            ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "value does not fit 64 bits"),
            ([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81, 0x00], "value does not fit 64 bits"),
            ([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], "value does not fit 64 bits"),
            ([UInt8](repeating: 0xFF, count: 64), "value does not fit 64 bits"),
        ] as [([UInt8], String)]
    )
    func `a varint that is over-long or too large is refused`(_ bytes: [UInt8], _ sentence: String) {
        #expect(varintFailure(bytes) == sentence)
    }

    @Test func `a varint is refused from its limit on`() throws {
        for limit in edges {
            var bytes: [UInt8] = []
            bytes.append(varint: limit)
            #expect(varintFailure(bytes, limit) == nil)
            guard limit < .max else { continue }
            bytes = []
            bytes.append(varint: limit + 1)
            #expect(varintFailure(bytes, limit) == "value is over its limit")
        }
    }

    @Test(
        arguments: [
            (0, 0), (-1, 1), (1, 2), (-2, 3), (63, 126), (-64, 127), (.max, .max - 1), (.min, .max),
        ] as [(Int64, UInt64)]
    )
    func `a signed number is mapped as the spec says and comes back`(_ value: Int64, _ mapped: UInt64) throws {
        var bytes: [UInt8] = []
        bytes.append(svarint: value)
        var expected: [UInt8] = []
        expected.append(varint: mapped)
        #expect(bytes == expected)
        #expect(try read(bytes) { reader throws(FormatError) in try reader.svarint("value") } == value)
    }

    @Test(arguments: edges) func `fixed widths are little-endian and come back`(_ value: UInt64) throws {
        var bytes: [UInt8] = []
        bytes.append(u16: UInt16(truncatingIfNeeded: value))
        bytes.append(u32: UInt32(truncatingIfNeeded: value))
        bytes.append(u64: value)
        #expect(bytes.count == 14)
        #expect(bytes[6..<14].elementsEqual((0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }))
        try read(bytes) { reader throws(FormatError) in
            #expect(try reader.u16() == UInt16(truncatingIfNeeded: value))
            #expect(try reader.u32() == UInt32(truncatingIfNeeded: value))
            let remaining = reader.remaining
            #expect(remaining == 8)
            #expect(try reader.u64() == value)
            let isAtEnd = reader.isAtEnd
            #expect(isAtEnd)
        }
    }

    @Test func `a fixed width that is cut is refused and not read`() {
        for count in 0..<8 {
            let bytes = [UInt8](repeating: 1, count: count)
            let sentence = "ends inside a field"
            #expect(formatFailure { _ = try read(bytes) { r throws(FormatError) in try r.u64() } } == sentence)
            if count < 4 {
                #expect(formatFailure { _ = try read(bytes) { r throws(FormatError) in try r.u32() } } == sentence)
            }
            if count < 2 {
                #expect(formatFailure { _ = try read(bytes) { r throws(FormatError) in try r.u16() } } == sentence)
            }
            if count < 1 {
                #expect(formatFailure { _ = try read(bytes) { r throws(FormatError) in try r.u8() } } == sentence)
            }
        }
    }

    @Test func `reserved bytes must be there and be 0`() throws {
        try read([0, 0, 0]) { reader throws(FormatError) in try reader.reserved(3) }
        for position in 0..<3 {
            for bit in 0..<8 {
                var bytes: [UInt8] = [0, 0, 0]
                bytes[position] = 1 << UInt8(bit)
                let sentence = formatFailure { try read(bytes) { r throws(FormatError) in try r.reserved(3) } }
                #expect(sentence == "a reserved byte is not 0")
            }
        }
        #expect(formatFailure { try read([0, 0]) { r throws(FormatError) in try r.reserved(3) } } != nil)
    }

    @Test func `a byte string is refused where it is longer than its limit or its surroundings`() throws {
        var bytes: [UInt8] = []
        bytes.append(byteString: Array("abc".utf8))
        bytes.append(0x7F)
        #expect(bytes == [3, 0x61, 0x62, 0x63, 0x7F])
        try read(bytes) { reader throws(FormatError) in
            #expect(try reader.byteString("field", atMost: 3).copy == Array("abc".utf8))
            #expect(reader.rest().copy == [0x7F])
            let isAtEnd = reader.isAtEnd
            #expect(isAtEnd)
        }
        func failure(_ bytes: [UInt8], _ limit: Int) -> String? {
            formatFailure {
                _ = try read(bytes) { r throws(FormatError) in try r.byteString("field", atMost: limit).copy }
            }
        }
        #expect(failure(bytes, 2) == "field is over its limit")
        for count in 1..<4 { #expect(failure(Array(bytes.prefix(count)), 9) == "field is longer than what holds it") }
        // Lengths at which a sum or a conversion to Int would trap.
        for length in edges where length > 3 {
            var huge: [UInt8] = []
            huge.append(varint: length)
            huge += [1, 2, 3]
            #expect(failure(huge, .max) != nil)
        }
    }

    @Test func `text must be valid UTF-8`() throws {
        var bytes: [UInt8] = []
        bytes.append(text: "naïve 日本")
        #expect(try read(bytes) { r throws(FormatError) in try r.text("field", atMost: 64) } == "naïve 日本")
        for invalid in [[0xFF], [0xC0, 0xAF], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] as [[UInt8]] {
            var bytes: [UInt8] = []
            bytes.append(byteString: invalid)
            let sentence = formatFailure {
                _ = try read(bytes) { r throws(FormatError) in try r.text("t", atMost: 64) }
            }
            #expect(sentence == "t is not valid UTF-8")
        }
    }

    @Test func `a digest needs all of its 32 bytes`() throws {
        let value = digest(Array("x".utf8))
        var bytes: [UInt8] = []
        bytes.append(digest: value)
        #expect(try read(bytes) { r throws(FormatError) in try r.digest() } == value)
        for count in [0, 16, 31] {
            let cut = Array(bytes.prefix(count))
            #expect(formatFailure { _ = try read(cut) { r throws(FormatError) in try r.digest() } } != nil)
        }
    }

    private func varintFailure(_ bytes: [UInt8], _ limit: UInt64 = .max) -> String? {
        formatFailure { _ = try read(bytes) { r throws(FormatError) in try r.varint("value", atMost: limit) } }
    }
}
