// SPDX-License-Identifier: MIT

import Archive
import Testing

/// The traversal matrix: what a peer may call an entry, and what it may let a symlink say.
struct EntryNameTests {
    static let refused: [(String, EntryName.Fault)] = [
        ("", .empty),
        (".", .dots), ("..", .dots),
        ("/", .separator), ("//", .separator), ("/x", .separator), ("//x", .separator), ("../x", .separator),
        ("a/../../x", .separator), ("a/..", .separator), ("a/.", .separator), ("a/", .separator), ("./a", .separator),
        ("..//", .separator), ("~/x", .separator), ("%2e%2e/", .separator), ("..\\/x", .separator),
        ("/etc/passwd", .separator), ("../../../.ssh/authorized_keys", .separator), ("x/\u{202E}", .separator),
        ("\0", .control), ("a\0", .control), ("\0a", .control), ("..\0", .control), ("a\0/../b", .control),
        ("a\u{1}", .control), ("a\u{7}b", .control), ("a\u{8}", .control), ("a\tb", .control), ("a\nb", .control),
        ("a\rb", .control), ("a\r\nb", .control), ("\u{1B}[2J", .control), ("\u{1B}]0;x\u{7}", .control),
        ("a\u{1F}", .control), ("\u{7F}", .control), ("a\u{80}", .control), ("a\u{85}b", .control),
        ("\u{9B}31m", .control), ("a\u{9F}", .control),
        ("a\u{061C}b", .invisible), ("a\u{200B}", .invisible), ("a\u{200C}b", .invisible), ("a\u{200D}b", .invisible),
        ("\u{200E}a", .invisible), ("a\u{200F}", .invisible), ("a\u{2028}b", .invisible), ("a\u{2029}b", .invisible),
        ("a\u{202A}", .invisible), ("a\u{202B}", .invisible), ("a\u{202C}", .invisible), ("a\u{202D}", .invisible),
        ("fdp\u{202E}exe.pdf", .invisible), ("a\u{2060}", .invisible), ("a\u{2066}", .invisible),
        ("a\u{2067}", .invisible), ("a\u{2068}", .invisible), ("a\u{2069}", .invisible), ("\u{FEFF}a", .invisible),
        (".\u{200B}.", .invisible), ("..\u{FEFF}", .invisible),
        (String(repeating: "x", count: 256), .tooLong), (String(repeating: "é", count: 128), .tooLong),
        (String(repeating: "../", count: 1_700), .tooLong), (String(repeating: "x", count: 5_000), .tooLong),
    ]

    static let invalid: [[UInt8]] = [
        [0xC0, 0xAE], [0xC0, 0xAE, 0xC0, 0xAE], [0xC0, 0xAF], [0x2E, 0x2E, 0xC0, 0xAF, 0x78], [0xC1, 0x9C],
        [0xE0, 0x80, 0xAE], [0xE0, 0x80, 0xAF], [0xF0, 0x80, 0x80, 0xAF], [0xFF], [0xFE, 0xFF], [0x61, 0x80], [0xC3],
        [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xED, 0xB0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80],
        [0x61, 0xFF, 0x62],
    ]

    static let harmless = [
        "a", "-", "-rf", "--help", "CON", "NUL", "com1.txt", "x:y", "x:", "~", "~root", "%2e%2e", "%2e%2e%2f",
        "\\..\\x",
        "..\\x", "C:\\x", "C:", "...", "....", "..a", "a..", ".a", ". ", " .", ".. ", " ", "  leading", "trailing.",
        "trailing ", "*", "?", "$HOME", "`id`", "$(id)", "a;b", "a|b", "a&b", "'", "\"", "%s%n", "naïve", "日本語",
        "Ω≈ç", "🚀", "e\u{301}", "\u{E9}", "\u{212A}", "ß", "ﬃ", "İ", "\u{E0001}", "\u{AD}", "\u{FFFD}", "\u{10FFFF}",
        ".ssh", ".bashrc", ".DS_Store", "._x", "rtun-part", ".rtun", String(repeating: "x", count: 255),
        String(repeating: "é", count: 127),
    ]

    @Test(arguments: refused) func `what is no plain name is refused with its cause`(
        _ text: String,
        _ fault: EntryName.Fault
    ) {
        #expect(throws: fault) { try EntryName(validating: text.utf8) }
        #expect(recordFailure(Array(text.utf8)) != nil)
    }

    @Test(arguments: invalid) func `bytes that are not UTF-8 are refused`(_ bytes: [UInt8]) {
        #expect(throws: EntryName.Fault.notUTF8) { try EntryName(validating: bytes) }
        #expect(recordFailure(bytes) == EntryName.Fault.notUTF8.rawValue)
    }

    @Test(arguments: harmless) func `an odd name is a name, byte for byte`(_ text: String) throws {
        let name = try EntryName(validating: text.utf8)
        #expect(name.text.utf8.elementsEqual(text.utf8))
        #expect(recordFailure(Array(text.utf8)) == nil)
    }

    @Test func `every control character and no other ASCII one is refused`() {
        for byte in 0..<128 as Range<UInt8> {
            let isRefused = byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "/")
            let name = try? EntryName(validating: [0x61, byte, 0x62])
            #expect((name == nil) == isRefused, "byte \(byte)")
        }
    }

    @Test func `names that differ in normalisation alone are two names`() {
        let composed = name("\u{E9}")
        let decomposed = name("e\u{301}")
        #expect(composed.text == decomposed.text)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }

    @Test func `names of the daemon's own are reserved at the top alone`() {
        for text in [".rtun-", ".rtun-part", ".rtun-x", ".RTUN-Part"] {
            #expect(name(text).isReserved)
            #expect(recordFailure(Array(text.utf8)) == EntryName.Fault.reserved.rawValue)
            #expect(recordFailure(Array(text.utf8), parent: 1) == nil)
        }
        for text in ["rtun-", ".rtun", "a.rtun-part"] { #expect(!name(text).isReserved) }
    }

    /// What a record with that name is refused with.
    private func recordFailure(_ name: [UInt8], parent: UInt64 = 0) -> String? {
        var raw = RawEntry()
        raw.name = name
        raw.parent = parent
        return formatFailure { _ = try records(in: raw.bytes) }
    }

    // MARK: - Symlinks

    @Test(
        arguments: [
            ("x", 0), ("./x", 0), ("a/b/c", 0), ("a//b", 0), (".", 0), ("./.", 0), ("...", 0), ("..a/b", 0), ("a..", 0),
            ("-rf", 0), ("~", 0), ("~/x", 0), ("C:\\x", 0), ("\\..\\..\\x", 0), ("%2e%2e/x", 0), ("x/", 0),
            ("..", 1), ("../x", 1), ("../", 1), (".//../x", 1), ("./../x", 1), ("../../x", 2), ("../..", 2),
            ("../../../x/y", 3), ("../.", 1), (".././../x", 2), ("../x", 127), ("x", -1), ("a/b", -1),
        ]
    )
    func `a symlink that stays in the tree is taken`(_ target: String, _ depth: Int) {
        #expect(SymlinkTarget.stays(target, inTreeAtDepth: depth))
    }

    @Test(
        arguments: [
            ("", 5), ("/", 5), ("/x", 5), ("//x", 5), ("/etc/passwd", 5), ("/../x", 5), ("a\0", 5), ("..\0", 5),
            ("..", 0), ("../x", 0), ("./../x", 0), ("../../x", 1), ("../../../x", 2), ("..//../x", 1), (".././../x", 1),
            ("a/..", 5), ("a/../x", 5), ("a/../../x", 5), ("../a/..", 5), ("../a/../x", 5), ("./a/../..", 5),
            ("a/b/../../..", 5), ("..", -1), ("../x", -1), ("a/..", -1), ("x/./..", 5),
        ]
    )
    func `a symlink that might leave the tree is not`(_ target: String, _ depth: Int) {
        #expect(!SymlinkTarget.stays(target, inTreeAtDepth: depth))
    }
}
