// SPDX-License-Identifier: MIT

internal import Foundation

/// A greeting written after `docs/protocol.md` alone, so that it can say what the product's own encoder cannot.
package enum RawGreeting {
    /// A field: its tag and its bytes.
    package typealias Field = (tag: UInt8, bytes: [UInt8])

    /// HELLO, with a source key if there is one.
    package static func hello(key: [UInt8]? = nil, name: String = "raw") -> [UInt8] {
        var fields: [Field] = [(1, [1]), (2, [1]), (3, Array("raw".utf8))]
        if let key { fields.append((4, key)) }
        return message(0x01, fields + [(5, Array(name.utf8))])
    }

    /// OPEN of a transfer whose id and secret are made of one byte each.
    package static func open(_ id: UInt8, destination: [String] = []) -> [UInt8] {
        let ids: [Field] = [
            (1, [UInt8](repeating: id, count: 8)), (2, [UInt8](repeating: id, count: 32)), (3, [0]),
        ]
        return message(0x20, ids + destination.map { (4, Array($0.utf8)) })
    }

    /// ATTACH to the transfer of `open(_:)`.
    package static func attach(_ id: UInt8, secret: UInt8, epoch: UInt64) -> [UInt8] {
        message(
            0x22,
            [
                (1, [UInt8](repeating: id, count: 8)), (2, [UInt8](repeating: secret, count: 32)),
                (3, varint(epoch)),
            ]
        )
    }

    /// A message of fields of less than 128 bytes each.
    package static func message(_ type: UInt8, _ fields: [Field]) -> [UInt8] {
        let body = fields.flatMap { [$0.tag] + varint(UInt64($0.bytes.count)) + $0.bytes }
        let length = withUnsafeBytes(of: UInt32(body.count).littleEndian) { Array($0) }
        return length + [type, 0, 0, 0] + body
    }

    /// The two lines that carry the messages.
    package static func lines(_ messages: [UInt8]...) -> String {
        let text = Data(messages.flatMap { $0 }).base64EncodedString()
            .replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
        return "XCAPS 1 \(text)\r\nPING\r\n"
    }

    /// The messages of an answer: type and body of each.
    package static func answer(_ line: String) -> [(type: UInt8, body: [UInt8])] {
        guard line.hasPrefix("XCAPS 1 ") else { return [] }
        var text = line.dropFirst(8).trimmingCharacters(in: .whitespacesAndNewlines)
            .replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        while text.utf8.count % 4 != 0 { text += "=" }
        var bytes = [UInt8](Data(base64Encoded: text) ?? Data())[...]
        var messages: [(type: UInt8, body: [UInt8])] = []
        while bytes.count >= 8 {
            let length = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            let type = bytes[bytes.startIndex + 4]
            bytes = bytes.dropFirst(8)
            messages.append((type, Array(bytes.prefix(length))))
            bytes = bytes.dropFirst(length)
        }
        return messages
    }

    /// The code of REFUSED, and its sentence, where that is what the answer ends with.
    package static func refusal(_ line: String) -> (code: UInt8, reason: String)? {
        guard let last = answer(line).last, last.type == 0x03, last.body.count > 5, last.body[0] == 1 else {
            return nil
        }
        return (last.body[2], String(decoding: last.body[5...], as: UTF8.self))
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
