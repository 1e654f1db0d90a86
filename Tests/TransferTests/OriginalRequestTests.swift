// SPDX-License-Identifier: MIT

import Archive
import Testing
import Transfer

/// Lines of the original's clients become requests without touching a file system.
struct OriginalRequestTests {
    private func place(_ line: String) -> String {
        switch OriginalRequest(line: Array(line.utf8)) {
        case .transfer(let transfer):
            "\(transfer.size):" + (transfer.folders + [transfer.name]).map(\.text).joined(separator: "/")
        case .refused(let reply): String(decoding: reply.bytes, as: UTF8.self)
        default: "no transfer"
        }
    }

    @Test(arguments: [
        ("SEND 5 a", "5:a"),
        ("SEND 0 a/b c/d", "0:a/b c/d"),
        ("SEND +7  two", "7: two"),
        ("SEND 1 /abs", "1:abs"),
        ("SEND 1 ../../x", "1:x"),
        ("SEND 1 a/../../b", "1:b"),
        ("SEND 1 ./a//./b/", "1:a/b"),
        ("SEND 1 ...", "1:..."),
        ("VIEW 1 a/b/plot.png", "1:plot.png"),
        ("SEND 9223372036854775807 a", "9223372036854775807:a"),
        ("SEND -0 a", "0:a"),
    ])
    func `a path is cleaned as text, and never leads out of the inbox`(_ line: String, _ expected: String) {
        #expect(place(line) == expected)
    }

    @Test(arguments: ["..", "/", "", "a/..", "./.", "../.."])
    func `a path without a name is the inbox itself`(_ path: String) {
        #expect(place("SEND 1 \(path)") == "ERROR 103 Cannot write to file: \(path)\r\n")
    }

    @Test(arguments: ["SEND 1", "SEND ", "SEND x a", "SEND 1_0 a", "SEND 0x1 a", "SEND -1 a", "SEND + a", "VIEW 1.5 a"])
    func `what is no size is answered with 101`(_ line: String) {
        #expect(place(line).hasPrefix("ERROR 101 strconv.Atoi: parsing \""))
    }

    @Test(arguments: [
        "SEND 1 .rtun-part/x/tree/y", "SEND 1 .RTUN-inbox", "VIEW 1 .rtun-view", "SEND 1 a\u{202E}b", "SEND 1 a\u{7F}",
        "SEND 1 " + String(repeating: "x", count: 256), "SEND 1 " + String(repeating: "a/", count: 128) + "b",
        "SEND 1 " + String(repeating: "aaaaaaa/", count: 520) + "b",
    ])
    func `names that no archive could have are refused`(_ line: String) {
        #expect(place(line).hasPrefix("ERROR 104 "), "\(place(line))")
    }

    @Test
    func `what is said back is escaped and short`() {
        let reply = OriginalReply.mismatch(
            said: Array("\u{1B}]52;\"".utf8) + [0xFF] + Array(repeating: 65, count: 999),
            digest: "d"
        )
        #expect(reply.bytes.allSatisfy { $0 >= 0x20 || $0 == 0x0D || $0 == 0x0A })
        #expect(reply.bytes.count < 300)
        #expect(String(decoding: reply.bytes, as: UTF8.self).hasPrefix("ERROR 107 expected \\x1b]52;\\\"\\xffAAA"))
    }
}
