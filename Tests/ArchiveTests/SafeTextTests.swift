// SPDX-License-Identifier: MIT
import Archive
import Testing

struct SafeTextTests {
    @Test(
        "ordinary names stay as they are",
        arguments: [
            "results.csv", "Ångström ü 日本語.txt", "a b  c", "❤️.png", "naïve/é", "%s %n $HOME `x`", "٠\u{0600}١", "",
        ]
    )
    func keepsOrdinaryText(_ text: String) {
        #expect(SafeText(text).description == text)
        #expect(SafeText(bytes: text.utf8).description == text)
    }

    @Test(
        "what steers a terminal or hides is escaped",
        arguments: [
            ("a\u{1b}]0;x\u{7}b", #"a\x1b]0;x\x07b"#),
            ("\u{0}\t\n\r\u{7f}", #"\x00\t\n\r\x7f"#),
            ("\u{85}\u{9b}31m", #"\u{85}\u{9b}31m"#),
            ("fdp\u{202e}exe.pdf", #"fdp\u{202e}exe.pdf"#),
            ("\u{202a}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}", #"\u{202a}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}"#),
            ("a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{feff}", #"a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{feff}"#),
            ("\u{2028}\u{2029}", #"\u{2028}\u{2029}"#),
            ("\u{e0041}\u{e0001}\u{e000}\u{10ffff}\u{378}", #"\u{e0041}\u{e0001}\u{e000}\u{10ffff}\u{378}"#),
            ("x\u{ad}y\u{3164}z\u{2063}", #"x\u{ad}y\u{3164}z\u{2063}"#),
            (#"C:\n"#, #"C:\\n"#),
        ]
    )
    func escapes(_ text: String, _ shown: String) {
        #expect(SafeText(text).description == shown)
        #expect(SafeText(bytes: Array(text.utf8)).description == shown)
        #expect(SafeText(text).description.unicodeScalars.allSatisfy { !$0.isUnsafeForDisplay })
    }

    @Test("different inputs never look alike")
    func distinguishes() {
        let inputs: [[UInt8]] = [
            Array("a\nb".utf8), Array(#"a\nb"#.utf8), Array(#"a\\nb"#.utf8), [0x61, 0x9B], Array("a\u{9b}".utf8),
            Array(#"a\x9b"#.utf8), Array(#"a\u{9b}"#.utf8), Array("a\u{fffd}".utf8),
        ]
        #expect(Set(inputs.map { SafeText(bytes: $0) }).count == inputs.count)
    }

    @Test(
        "bytes that are not UTF-8 are shown one by one",
        arguments: [
            ([0x61, 0xFF, 0x62], #"a\xffb"#),
            ([0xC3], #"\xc3"#),
            ([0xE2, 0x82, 0x61], #"\xe2\x82a"#),
            ([0xC0, 0xAF], #"\xc0\xaf"#),  // overlong "/"
            ([0xED, 0xA0, 0x80], #"\xed\xa0\x80"#),  // surrogate
            ([0xF4, 0x90, 0x80, 0x80, 0xC3, 0xA9], #"\xf4\x90\x80\x80é"#),
        ] as [([UInt8], String)]
    )
    func showsInvalidBytes(_ bytes: [UInt8], _ shown: String) {
        #expect(SafeText(bytes: bytes).description == shown)
    }

    @Test(
        "the limit counts scalars, cuts no escape and marks the cut",
        arguments: [
            ("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("abcde", 1, "…"), ("abc", 0, ""), ("", 0, ""),
            ("ab\u{1b}", 6, #"ab\x1b"#), ("ab\u{1b}", 5, "ab…"), ("ab\u{1b}c", 6, "ab…"), ("日本語", 2, "日…"),
            ("abc", -3, ""),
        ]
    )
    func truncates(_ text: String, _ limit: Int, _ shown: String) {
        #expect(SafeText(text, limit: limit).description == shown)
        #expect(SafeText(bytes: text.utf8, limit: limit).description == shown)
    }

    @Test("only as much of endless bytes is read as the limit needs")
    func readsBoundedInput() {
        var reads = 0
        let endless = sequence(first: UInt8(ascii: "x")) { byte in
            reads += 1
            return byte
        }
        #expect(SafeText(bytes: endless, limit: 16).description == String(repeating: "x", count: 15) + "…")
        #expect(reads < 100)
    }

    @Test(
        "a block keeps line feeds and tabs and nothing else",
        arguments: [
            ("a\nb\tc", "a\nb\tc"), ("a\r\nb", "a\nb"), ("50%\r100%", #"50%\r100%"#), ("end\r", #"end\r"#),
            ("\u{1b}[2J\n", "\\x1b[2J\n"), ("\r\r\n", "\\r\n"),
        ]
    )
    func keepsBlocks(_ text: String, _ shown: String) {
        #expect(SafeText(text, layout: .block).description == shown)
        #expect(SafeText(bytes: text.utf8, layout: .block).description == shown)
    }

    @Test("a private-use scalar is escaped on screen but is no invisible control")
    func tellsPrivateUseFromInvisible() {
        let apple: Unicode.Scalar = "\u{f8ff}"
        #expect(apple.isUnsafeForDisplay && !apple.isInvisibleControl)
        let override: Unicode.Scalar = "\u{202e}"
        #expect(override.isUnsafeForDisplay && override.isInvisibleControl)
    }
}
