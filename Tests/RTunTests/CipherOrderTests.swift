// SPDX-License-Identifier: MIT

import Testing

@testable import rtun

/// `rtun ssh` changes the order of ciphers and nothing else.
struct CipherOrderTests {
    @Test(
        arguments: [
            (
                "chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
                "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"
            ),
            ("aes128-ctr,aes256-gcm@openssh.com", "aes256-gcm@openssh.com,aes128-ctr"),
            ("aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr", nil),
            ("chacha20-poly1305@openssh.com,aes128-ctr", nil),
        ] as [(String, String?)]
    )
    func `ciphers that the configuration allows are put first, none is added`(listed: String, better: String?) {
        let configuration = "host x\nuser me\nciphers \(listed)\nport 22\n"
        #expect(CipherOrder.reordered(configuration) == better)
    }

    @Test func `a configuration without the line changes nothing`() {
        #expect(CipherOrder.reordered("host x\nport 22\n") == nil)
    }

    @Test(
        arguments: [
            ("flags\t\t: fpu vme aes avx\n", true), ("flags\t\t: fpu vaes avx\n", false),
            ("Features\t: fp asimd aes pmull\n", true), ("model name\t: aes\n", false), ("", false),
        ]
    )
    func `AES instructions are told by the processor's flags`(text: String, has: Bool) {
        #expect(CipherOrder.hasAES(processors: "processor\t: 0\n" + text) == has)
    }

    @Test(arguments: [["-c", "aes128-ctr"], ["-o", "Ciphers=+aes128-cbc"], ["-o", "ciphers aes128-ctr"]])
    func `a cipher that the user names stays`(words: [String]) throws {
        #expect(try SSHArguments(words + ["host"]).choosesCiphers)
        #expect(try !SSHArguments(["-o", "Port=22", "host"]).choosesCiphers)
    }
}
