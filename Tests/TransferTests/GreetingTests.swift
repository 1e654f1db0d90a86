// SPDX-License-Identifier: MIT

import Archive
import TestSupport
import Testing

@testable import Transfer

struct GreetingTests {
    @Test func `golden greetings decode to their messages and encode to their bytes`() throws {
        let file = try GoldenFile("protocol/greetings.txt")
        let golden = MessageTests.golden
        let hello = try #require(golden["hello"])
        let open = try #require(golden["open"])
        let welcome = try #require(golden["welcome"])
        let opened = try #require(golden["opened"])
        let refused = try #require(golden["refused"])
        #expect(Greeting.request([hello, open]) == (try file["request"]))
        #expect(Greeting.request([hello]) == (try file["request alone"]))
        #expect(Greeting.answer([welcome, opened]) == (try file["answer"]))
        #expect(Greeting.answer([refused]) == (try file["refusal"]))
        for (name, messages) in [
            ("request", [hello, open]), ("request alone", [hello]), ("answer", [welcome, opened]),
            ("refusal", [refused]),
        ] {
            let line = Array(try file[name].prefix { $0 != UInt8(ascii: "\r") })
            #expect(try Greeting.messages(inLine: line) == messages, "\(name)")
        }
    }

    @Test(arguments: ["PING", "ECHO x", "XCAPS 2 aaaa", "XCAPS", "XCAPS 1", "xcaps 1 aaaa", "", " XCAPS 1 aaaa"])
    func `another line is the original's`(_ line: String) throws {
        #expect(try Greeting.messages(inLine: Array(line.utf8)) == nil)
    }

    @Test func `a greeting that is cut or goes on is refused`() throws {
        let line = Greeting.request([try #require(MessageTests.golden["hello"])]).prefix { $0 != UInt8(ascii: "\r") }
        #expect(throws: Never.self) { try Greeting.messages(inLine: Array(line)) }
        for count in 8..<line.count {
            #expect(throws: FormatError.self, "to \(count)") {
                try Greeting.messages(inLine: Array(line.prefix(count)))
            }
        }
        for extra in ["A", "AA", "AAAA", "=", " ", "\n", "+", "\0"] {
            #expect(throws: FormatError.self) { try Greeting.messages(inLine: line + Array(extra.utf8)) }
        }
    }

    @Test func `a greeting holds one or two messages that are decoded at once`() throws {
        func failure(_ bytes: [UInt8]) -> String? {
            formatFailure { _ = try Greeting.messages(inLine: Array("XCAPS 1 ".utf8) + Base64URL.encode(bytes)) }
        }
        let beat = encoded(.heartbeat)
        #expect(failure([]) == "the greeting does not hold one or two messages")
        #expect(failure(beat) == nil)
        #expect(failure(beat + beat) == nil)
        #expect(failure(beat + beat + beat) == "the greeting does not hold one or two messages")
        #expect(failure(beat + beat.dropLast()) == "the greeting does not hold one or two messages")
        #expect(failure(rawMessage(0x31, [1, 2, 3])) != nil, "FRAME")
        #expect(failure(rawMessage(0x77, [])) == "unknown type of message")
    }

    @Test func `a greeting holds at most 48 KiB`() {
        func failure(_ count: Int) -> String? {
            let bytes = rawMessage(0x31, [UInt8](repeating: 0, count: count - 8))
            return formatFailure { _ = try Greeting.messages(inLine: Array("XCAPS 1 ".utf8) + Base64URL.encode(bytes)) }
        }
        // A message that long is refused for itself; more is refused before anybody looks for messages.
        #expect(failure(48 << 10) == "a message is longer than its limit")
        #expect(failure(48 << 10 + 1) == "the greeting is not base64url")
    }

    @Test func `base64url comes back for every length`() throws {
        for count in 0...70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 200) }
            let text = Base64URL.encode(bytes)
            #expect(text.count == (count * 4 + 2) / 3)
            #expect(Base64URL.decode(text) == bytes)
        }
        #expect(String(decoding: Base64URL.encode([0xFB, 0xFF, 0xFE]), as: UTF8.self) == "-__-")
        #expect(
            String(decoding: Base64URL.encode(Array("any carnal pleas".utf8)), as: UTF8.self)
                == "YW55IGNhcm5hbCBwbGVhcw"
        )
    }

    @Test(
        arguments: [
            "A", "AAAAA", "AB", "AAB", "A=", "AA==", "AAA=", "AA+A", "AA/A", "AA A", "AA\nA", "AA.A", "AAéA", "AA\0A",
            "//",
            "-_", "AA@A", "AA[A", "AA`A", "AA{A",
        ]
    )
    func `text that is not the one way to write its bytes is refused`(_ text: String) {
        #expect(Base64URL.decode(text.utf8) == nil)
    }
}
