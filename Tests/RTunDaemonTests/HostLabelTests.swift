// SPDX-License-Identifier: MIT

import RTunDaemon
import Testing

@Suite("Labels")
struct HostLabelTests {
    @Test(
        "A label is short, lower case and no path",
        arguments: ["a", "0", "gpu01", "a.b", "a..b", "n-1_x", "default2"]
    )
    func taken(_ text: String) throws {
        #expect(try #require(HostLabel(text)).text == text)
        #expect(HostLabel(String(repeating: "x", count: 32)) != nil)
    }

    @Test(
        "Anything else is none",
        arguments: [
            "", "default", "Default", "A", ".", "..", ".a", "-a", "_a", "a/b", "../a", "a b", "a\0", "é", "a\n", "a:b",
        ]
    )
    func refused(_ text: String) {
        #expect(HostLabel(text) == nil)
        #expect(HostLabel(String(repeating: "x", count: 33)) == nil)
    }

    @Test("A peer's own name counts on the plain socket alone, and then as unverified")
    func origin() throws {
        let label = try #require(HostLabel("gpu01"))
        #expect(Gate.host(label).origin(stating: "evil").prefix == "[gpu01] ")
        #expect(Gate.plain.origin(stating: "gpu01] x\u{1B}").prefix == "[unverified: gpu01 x\\x1b] ")
    }
}
