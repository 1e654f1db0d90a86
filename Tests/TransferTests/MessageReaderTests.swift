// SPDX-License-Identifier: MIT

import Archive
import NIOCore
import Testing
import Transfer

struct MessageReaderTests {
    /// Several messages in a row, some of them empty.
    private static let sample: [UInt8] =
        encoded(.heartbeat) + encoded(.echo(Array("hello".utf8))) + encoded(.attached)
        + encoded(.durable([0...3, 9...9])) + encoded(.echoed([]))
        + encoded(.abort(Abort(.stopping, "bye")))

    private static let expected: [Message] = [
        .heartbeat, .echo(Array("hello".utf8)), .attached, .durable([0...3, 9...9]), .echoed([]),
        .abort(Abort(.stopping, "bye")),
    ]

    @Test func `messages that come at once are read one by one`() throws {
        #expect(try messages(in: Self.sample).map { try $0.decoded() } == Self.expected)
    }

    @Test func `messages that drip are read all the same`() throws {
        var reader = MessageReader()
        var found: [Message] = []
        for byte in Self.sample {
            reader.append(ByteBuffer(bytes: [byte]))
            while let message = try reader.nextMessage() { found.append(try message.decoded()) }
        }
        #expect(found == Self.expected)
        #expect(reader.isBetweenMessages)
    }

    @Test func `messages split at any byte are read all the same`() throws {
        for cut in 0...Self.sample.count {
            var reader = MessageReader()
            var found: [Message] = []
            for part in [Self.sample[..<cut], Self.sample[cut...]] {
                reader.append(ByteBuffer(bytes: part))
                while let message = try reader.nextMessage() {
                    found.append(try message.decoded())
                    reader.recycle(message.body)
                }
            }
            #expect(found == Self.expected, "cut at \(cut)")
            #expect(reader.isBetweenMessages)
        }
    }

    /// Reads a message of 100,000 bytes, gives it back, and tells where in memory its body stood.
    private static func placeOfNext(_ reader: inout MessageReader) throws -> UInt {
        let message = rawMessage(MessageKind.frame.rawValue, [UInt8](repeating: 7, count: 100_000))
        reader.append(ByteBuffer(bytes: message[..<60_000]))
        reader.append(ByteBuffer(bytes: message[60_000...]))
        guard let read = try reader.nextMessage() else { throw FormatError("no message") }
        let place = read.body.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        reader.recycle(read.body)
        return place
    }

    @Test func `the body that was given back is filled again, without new memory`() throws {
        var reader = transferReader()
        let first = try Self.placeOfNext(&reader)
        for _ in 0..<3 { #expect(try Self.placeOfNext(&reader) == first) }
    }

    @Test func `a stream that ends inside a message is told from one that ends between two`() throws {
        for count in 0...Self.sample.count {
            var reader = MessageReader()
            reader.append(ByteBuffer(bytes: Self.sample.prefix(count)))
            var length = 0
            while let message = try reader.nextMessage() { length += 8 + message.body.readableBytes }
            #expect(reader.isBetweenMessages == (length == count), "\(count) bytes")
        }
    }

    @Test func `a body that was given back does not show in the next message`() throws {
        var reader = MessageReader()
        reader.append(ByteBuffer(bytes: encoded(.echo([UInt8](repeating: 9, count: 1_000)))))
        let first = try #require(try reader.nextMessage())
        reader.recycle(first.body)
        reader.append(ByteBuffer(bytes: encoded(.echo([1]))))
        let second = try #require(try reader.nextMessage())
        #expect(try second.decoded() == .echo([1]))
        #expect(try first.decoded() == .echo([UInt8](repeating: 9, count: 1_000)))
    }

    @Test(arguments: MessageKind.allCases) func `a body may be as long as its type says and no longer`(
        _ kind: MessageKind
    ) throws {
        // The header alone decides: nothing is kept for a body that is too long.
        func header(_ length: Int) -> [UInt8] { Array(rawMessage(kind.rawValue, [], length: UInt32(length))) }
        var reader = transferReader()
        reader.append(ByteBuffer(bytes: header(kind.limit)))
        #expect(formatFailure { _ = try reader.nextMessage() } == nil)
        reader = transferReader()
        reader.append(ByteBuffer(bytes: header(kind.limit + 1)))
        #expect(formatFailure { _ = try reader.nextMessage() } == "a message is longer than its limit")
        reader = transferReader()
        reader.append(ByteBuffer(bytes: header(Int(UInt32.max))))
        #expect(formatFailure { _ = try reader.nextMessage() } == "a message is longer than its limit")
    }

    @Test func `a body has at most 16 KiB before the peer is let into a transfer`() throws {
        for kind in MessageKind.allCases where kind.limit > 16_384 {
            var reader = MessageReader()
            reader.append(ByteBuffer(bytes: rawMessage(kind.rawValue, [], length: 16_384)))
            #expect(formatFailure { _ = try reader.nextMessage() } == nil)
            reader = MessageReader()
            reader.append(ByteBuffer(bytes: rawMessage(kind.rawValue, [], length: 16_385)))
            #expect(formatFailure { _ = try reader.nextMessage() } == "a message is longer than its limit")
        }
    }

    @Test func `the limits are those of the spec`() {
        let limits: [MessageKind: Int] = [
            .hello: 4_096, .welcome: 4_096, .refused: 4_096, .echo: 16_384, .echoed: 16_384, .notify: 16_384,
            .notified: 4_096, .open: 16_384, .opened: 4_096, .attach: 4_096, .attached: 4_096, .forget: 4_096,
            .forgotten: 4_096, .records: 65_552,
            .frame: 4_259_840, .commit: 48, .have: 65_536, .received: 16, .durable: 65_536, .reject: 8_192,
            .committed: 65_536, .heartbeat: 0, .abort: 4_096,
        ]
        for kind in MessageKind.allCases { #expect(kind.limit == limits[kind], "\(kind)") }
    }

    @Test func `every unknown type is refused`() {
        let known = Set(MessageKind.allCases.map(\.rawValue))
        #expect(known.count == 23)
        for type in (0...255 as ClosedRange<UInt8>) where !known.contains(type) {
            #expect(formatFailure { _ = try messages(in: rawMessage(type, [])) } == "unknown type of message")
        }
    }

    @Test func `every reserved bit is refused`() {
        for position in 0..<3 {
            for bit in 0..<8 as Range<UInt8> {
                var reserved: [UInt8] = [0, 0, 0]
                reserved[position] = 1 << bit
                let bytes = rawMessage(0x50, [], reserved: reserved)
                #expect(formatFailure { _ = try messages(in: bytes) } == "a reserved byte is not 0")
            }
        }
    }

    @Test func `a message in the largest frame is one piece`() throws {
        let body = [UInt8](repeating: 5, count: MessageKind.frame.limit)
        var reader = transferReader()
        var rest = rawMessage(0x31, body)[...]
        while !rest.isEmpty {
            #expect(try reader.nextMessage() == nil)
            reader.append(ByteBuffer(bytes: rest.prefix(1 << 18)))
            rest = rest.dropFirst(1 << 18)
        }
        #expect(try reader.nextMessage()?.body.readableBytes == body.count)
    }

    // MARK: - Lines

    @Test func `a line ends with a line feed, with or without a return`() throws {
        for (text, lines) in [
            ("PING\r\nx", ["PING"]), ("PING\nx", ["PING"]), ("\r\n\n", ["", ""]), ("a\rb\r\r\n", ["a\rb\r"]),
            ("PING", []),
        ] as [(String, [String])] {
            var reader = MessageReader()
            reader.append(ByteBuffer(string: text))
            var found: [String] = []
            while let line = try reader.nextLine(atMost: 100) { found.append(String(decoding: line, as: UTF8.self)) }
            #expect(found == lines)
        }
    }

    @Test func `a line is refused at its limit, also without an end`() throws {
        var reader = MessageReader()
        reader.append(ByteBuffer(string: "123456789\n"))
        #expect(try reader.nextLine(atMost: 10) == Array("123456789".utf8))
        for text in ["1234567890\n", "1234567890", "12345678901234567890"] {
            reader = MessageReader()
            reader.append(ByteBuffer(string: text))
            #expect(formatFailure { _ = try reader.nextLine(atMost: 10) } == "a line is longer than its limit")
        }
    }

    @Test func `messages follow a line in the same bytes`() throws {
        for cut in 0...7 {
            let bytes = Array("HELLO\r\n".utf8) + Self.sample
            var reader = MessageReader()
            reader.append(ByteBuffer(bytes: bytes[..<cut]))
            var line = try reader.nextLine(atMost: 100)
            reader.append(ByteBuffer(bytes: bytes[cut...]))
            if line == nil { line = try reader.nextLine(atMost: 100) }
            #expect(line == Array("HELLO".utf8))
            var found: [Message] = []
            while let message = try reader.nextMessage() { found.append(try message.decoded()) }
            #expect(found == Self.expected)
        }
    }

    @Test func `bytes that are no message are handed out in pieces`() {
        var reader = MessageReader()
        #expect(reader.nextBytes(atMost: 3) == nil)
        reader.append(ByteBuffer(string: "abcd"))
        #expect(reader.nextBytes(atMost: 3).map { String(buffer: $0) } == "abc")
        #expect(reader.nextBytes(atMost: 3).map { String(buffer: $0) } == "d")
        #expect(reader.nextBytes(atMost: 3) == nil)
    }
}
