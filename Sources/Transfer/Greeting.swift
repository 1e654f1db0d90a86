// SPDX-License-Identifier: MIT

package import Archive
private import NIOCore

/// The lines of the handshake (`docs/protocol.md` section 2): how both dialogues share one socket.
package enum Greeting {
    private static let verb = "XCAPS 1 "

    /// What a client writes before it knows its peer.
    package static func request(_ messages: [Message]) -> [UInt8] {
        line(messages) + Array("PING\r\n".utf8)
    }

    /// What a daemon answers.
    package static func answer(_ messages: [Message]) -> [UInt8] {
        line(messages) + Array("OK PONG\r\n".utf8)
    }

    /// The messages of a first line, or nil where it is not ours but the original's.
    package static func messages(inLine line: [UInt8]) throws(FormatError) -> [Message]? {
        guard line.starts(with: verb.utf8) else { return nil }
        guard let bytes = Base64URL.decode(line.dropFirst(verb.utf8.count)),
            bytes.count <= TransferLimits.greetingBytes
        else { throw FormatError("the greeting is not base64url") }
        var reader = MessageReader()
        reader.append(ByteBuffer(bytes: bytes))
        var messages: [Message] = []
        while let message = try reader.nextMessage() { messages.append(try message.decoded()) }
        guard reader.isBetweenMessages, (1...2).contains(messages.count) else {
            throw FormatError("the greeting does not hold one or two messages")
        }
        return messages
    }

    private static func line(_ messages: [Message]) -> [UInt8] {
        var bytes: [UInt8] = []
        for message in messages { message.encode(to: &bytes) }
        return Array(verb.utf8) + Base64URL.encode(bytes) + Array("\r\n".utf8)
    }
}

/// RFC 4648 section 5, without padding.
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count * 4 + 2) / 3)
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                output.append(alphabet[Int(bits >> UInt32(count)) & 63])
            }
            bits &= (1 << UInt32(count)) - 1
        }
        if count > 0 { output.append(alphabet[Int(bits << UInt32(6 - count)) & 63]) }
        return output
    }

    /// Nil where a character is foreign, bits are left over or the last ones are not 0: one text for one value.
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text {
            guard let value = value(of: character) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        return count < 6 && bits == 0 ? output : nil
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
