// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What clients of the original tool hear, byte for byte, and what becomes of their files.
    @Suite("Clients of the original", .daemon)
    struct OriginalClientTests {
        private let daemon: DaemonUnderTest

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func contents(_ path: String) -> String? {
            FileManager.default.contents(atPath: "\(daemon.inbox)/\(path)").map { String(decoding: $0, as: UTF8.self) }
        }

        @Test("Every golden dialogue is answered byte for byte, and leaves what it should")
        func dialogues() async throws {
            let golden = try GoldenFile("protocol/dialogues.txt")
            let names = golden.names.filter { $0.hasPrefix("client ") }.map { String($0.dropFirst(7)) }
            #expect(names.count > 30)
            for name in names {
                let heard = try await RawDialogue.play(try golden["client \(name)"], at: daemon.socket)
                let expected = try golden["daemon \(name)"]
                let isSame = heard == expected
                #expect(isSame, "\(name): \(String(decoding: heard.prefix(200), as: UTF8.self))")
            }
            #expect(contents("one.txt") == "content\n")
            #expect(contents("empty") == "")
            #expect(contents("d") == "one byte")
            #expect(contents("db") == "two")
            #expect(contents("a b/c/deep.bin")?.isEmpty == false)
            #expect(contents("plus") == "hi")
            #expect(contents("up/w.txt") == "inside")
            #expect(contents("keep") == "old" && contents("keep (2)") == "new", "nothing is overwritten")
            #expect(contents("again") == "same" && contents("again (2)") == nil, "the same file is not kept twice")
            #expect(contents("box/x") == "1" && contents("box (2)") == "2")
            #expect(contents("lines") == "SHUTDOWN\r\nPID\r\n")
            #expect(contents("run.sh") == "#!/bin/sh\n")
            for absent in ["cut", "wrong", "none", "x", ".RTUN-part", ".rtun-part"] {
                #expect(!FileManager.default.fileExists(atPath: "\(daemon.inbox)/\(absent)"), "\(absent)")
            }
            let opened = daemon.desktop.opened()
            #expect(opened.count == 1 && opened.first?.arguments.last?.hasSuffix(".png") == true, "\(opened)")
            let notices = daemon.desktop.notifications()
            let log = try String(contentsOfFile: daemon.laptop + "/.rtun/rtun.log", encoding: .utf8)
            #expect(notices.contains { $0.arguments.contains("it is done") }, "\(notices) \(log)")
            #expect(try await daemon.rtun("ping").status == 0)
        }

        @Test("A file of several chunks arrives whole, and its mode says nothing to others")
        func longFile() async throws {
            var generator = SeededGenerator(seed: 52)
            let bytes = generator.bytes(3 << 20 | 12_345)
            let sum = try await ChildProcess.run(
                "/usr/bin/env",
                ["sha256sum"],
                environment: ["PATH": "/usr/bin:/bin"],
                input: .bytes(bytes)
            ).stdout.prefix(64)
            let request = Array("SEND \(bytes.count) long.bin\r\n".utf8) + bytes + Array("\(sum)\r\nPING\r\n".utf8)
            let heard = try await RawDialogue.play(request, at: daemon.socket)
            #expect(String(decoding: heard, as: UTF8.self) == "READY\r\nOK\r\nOK PONG\r\n")
            let isSame = FileManager.default.contents(atPath: daemon.inbox + "/long.bin").map { Array($0) == bytes }
            #expect(isSame == true)
            let attributes = try FileManager.default.attributesOfItem(atPath: daemon.inbox + "/long.bin")
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }

        @Test("A client that stops in the middle leaves nothing behind, and other clients notice nothing")
        func brokenOff() async throws {
            let heard = try await RawDialogue.play(
                Array("SEND 9000000 broken.bin\r\n".utf8) + [UInt8](repeating: 7, count: 2_500_000),
                at: daemon.socket
            )
            #expect(
                String(decoding: heard, as: UTF8.self)
                    == "READY\r\nERROR 106 expected 9000000 bytes, got 2500000 bytes\r\n"
            )
            let inbox = daemon.inbox
            #expect(await Waiting.until { !FileManager.default.fileExists(atPath: inbox + "/.rtun-part") })
            #expect(!FileManager.default.fileExists(atPath: inbox + "/broken.bin"))
        }
    }
}
