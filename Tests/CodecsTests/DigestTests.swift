// SPDX-License-Identifier: MIT
import Codecs
import Testing

@Suite("A digest")
struct DigestTests {
    /// The SHA-256 examples of NIST (FIPS 180-4), and the empty message; a text may be repeated.
    static let vectors: [(text: String, repeats: Int, hex: String)] = [
        ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
                + "mnopqrstnopqrstu", 1,
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
        ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ]

    @Test("is SHA-256", arguments: vectors)
    func isSHA256(text: String, repeats: Int, hex: String) throws {
        #expect(try digest(Array(String(repeating: text, count: repeats).utf8)).description == hex)
    }

    @Test("is the same however the message is cut into updates", arguments: [1, 7, 64, 1000])
    func isIndependentOfUpdates(step: Int) throws {
        let message = SampleBytes.noise.make(3000)
        var digester = Digester()
        for start in stride(from: 0, to: message.count, by: step) {
            let piece = Array(message[start..<min(start + step, message.count)])
            try piece.withUnsafeBytes { try digester.update($0.bytes) }
        }
        let found = try digester.finish()
        #expect(try found == digest(message))
    }

    @Test("comes from a reused context as from a new one")
    func comesFromReusedContext() throws {
        var digester = Digester()
        for (text, repeats, hex) in Self.vectors {
            let message = Array(String(repeating: text, count: repeats).utf8)
            let whole = try message.withUnsafeBytes { try digester.digest($0.bytes) }
            #expect(whole.description == hex)
            try message.withUnsafeBytes { try digester.update($0.bytes) }
            let updated = try digester.finish()
            #expect(updated.description == hex)
        }
        let empty = try digester.finish()
        #expect(empty.description == Self.vectors[0].hex)
    }

    @Test("does not contain an unfinished message that was reset or overtaken")
    func forgetsUnfinishedMessage() throws {
        let stray = Array("stray".utf8)
        let message = Array("abc".utf8)
        var digester = Digester()
        try stray.withUnsafeBytes { try digester.update($0.bytes) }
        let overtaking = try message.withUnsafeBytes { try digester.digest($0.bytes) }
        #expect(overtaking.description == Self.vectors[1].hex)
        try stray.withUnsafeBytes { try digester.update($0.bytes) }
        digester.reset()
        try message.withUnsafeBytes { try digester.update($0.bytes) }
        let updated = try digester.finish()
        #expect(updated.description == Self.vectors[1].hex)
    }

    @Test("is read from exactly 32 bytes", arguments: [0, 16, 31, 32, 33, 64])
    func isReadFrom32Bytes(count: Int) {
        let bytes = (0..<count).map { UInt8($0) }
        let found = bytes.withUnsafeBytes { Digest(bytes: $0.bytes) }
        #expect((found != nil) == (count == Digest.byteCount))
    }

    @Test("gives its bytes back in order, from any alignment", arguments: 0..<8)
    func givesBytesBack(offset: Int) throws {
        let bytes = SampleBytes.noise.make(offset + Digest.byteCount)
        let expected = Array(bytes.dropFirst(offset))
        let found = try #require(
            bytes.withUnsafeBytes { Digest(bytes: UnsafeRawBufferPointer(rebasing: $0.dropFirst(offset)).bytes) }
        )
        #expect(found.withBytes { span in span.withUnsafeBytes { Array($0) } } == expected)
        var array: [UInt8] = [1, 2]
        found.append(to: &array)
        #expect(array == [1, 2] + expected)
    }

    @Test("is read from 64 hexadecimal digits of either case")
    func isReadFromHex() throws {
        for (text, repeats, hex) in Self.vectors {
            let message = Array(String(repeating: text, count: repeats).utf8)
            let expected = try digest(message)
            #expect(Digest(hex: hex) == expected)
            #expect(Digest(hex: hex.uppercased()) == expected)
            #expect(Digest(hex: hex.dropFirst(0)) == expected)
        }
    }

    @Test(
        "is read from nothing else",
        arguments: [
            "", "00", String(repeating: "0", count: 63), String(repeating: "0", count: 65),
            String(repeating: "0", count: 63) + "g", " " + String(repeating: "0", count: 63),
            String(repeating: "0", count: 62) + "é", "0x" + String(repeating: "0", count: 62),
        ]
    )
    func isReadFromNothingElse(text: String) {
        #expect(Digest(hex: text) == nil)
    }

    @Test("compares bytewise", arguments: 0..<Digest.byteCount)
    func comparesBytewise(position: Int) throws {
        var lower = [UInt8](repeating: 0x7F, count: Digest.byteCount)
        var higher = lower
        higher[position] = 0x80
        // What follows the first difference must not matter.
        for index in position + 1..<max(position + 1, Digest.byteCount) { lower[index] = 0xFF }
        let left = try #require(lower.withUnsafeBytes { Digest(bytes: $0.bytes) })
        let right = try #require(higher.withUnsafeBytes { Digest(bytes: $0.bytes) })
        #expect(left < right)
        #expect(!(right < left))
        #expect(left != right)
    }
}
