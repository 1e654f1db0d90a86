// SPDX-License-Identifier: MIT

import Testing

@testable import Archive

/// The glob rules one by one, malformed patterns, pattern files, and what a filter leaves out.
struct PathPatternTests {
    @Test(arguments: [
        // A name at any depth.
        ("core", "core", true), ("core", "a/b/core", true), ("core", "core/a", false), ("core", "score", false),
        ("core", "Core", false), ("*.o", "a/b.o", true), ("*.o", ".o", true), ("*", ".hidden", true),
        // Anchored by a leading or an inner slash.
        ("/tmp", "tmp", true), ("/tmp", "a/tmp", false), ("a/tmp", "a/tmp", true), ("a/tmp", "b/a/tmp", false),
        ("a/tmp", "a/tmp/x", false), ("./tmp", "tmp", true), ("./tmp", "a/tmp", false), ("a/*", "a/b", true),
        ("a/*", "a/b/c", false), ("a/*", "a", false), ("/*/b", "a/b", true), ("/*/b", "b", false),
        // Single scalars and runs within a name.
        ("a?c", "abc", true), ("a?c", "ac", false), ("a?c", "aéc", true), ("?", "😀", true), ("a*c", "ac", true),
        ("a*b*c", "a1b2b3c", true), ("a*b*c", "a1c", false), ("a*", "a", true), ("*a", "ba", true), ("*a", "ab", false),
        ("a**b", "axxb", true), ("a**b", "a/b", false), ("*a*", "xay", true),
        // Classes.
        ("[a-c]x", "bx", true), ("[a-c]x", "dx", false), ("[!a-c]x", "dx", true), ("[!a-c]x", "ax", false),
        ("[^a]", "b", true), ("[^a]", "a", false), ("[]x]", "]", true), ("[!]x]", "]", false), ("[!]x]", "a", true),
        ("[a-]", "-", true), ("[-a]", "-", true), ("[a-]", "b", false), ("[\\]]", "]", true), ("[\\a-\\c]", "b", true),
        ("[0-9][0-9]", "42", true), ("[ä-ü]", "ö", true), ("[[]", "[", true), ("[*]", "*", true), ("[*]", "a", false),
        // Any number of folders.
        ("**/b", "b", true), ("**/b", "x/y/b", true), ("a/**", "a/b", true), ("a/**", "a/b/c", true),
        ("a/**", "a", false), ("a/**/b", "a/b", true), ("a/**/b", "a/x/y/b", true), ("a/**/b", "a/x/y/c", false),
        ("**/a/**/b", "x/a/y/a/b", true), ("a/**/b/c", "a/b/x/b/c", true), ("**", "a/b", true), ("/**", "a", true),
        ("a/**/**/b", "a/b", true), ("**/a/*/c", "a/a/b/c", true), ("**/a/*/c", "a/b/x/c", false),
        // Escapes, and signs that mean nothing.
        ("\\*", "*", true), ("\\*", "a", false), ("\\?", "?", true), ("a\\b", "ab", true), ("\\\\", "\\", true),
        ("\\!a", "!a", true), ("\\- a", "- a", true), ("#a", "#a", true), (" a ", " a ", true), ("{a,b}", "a", false),
        ("a]", "a]", true), ("-a", "-a", true),
    ])
    func `a pattern matches these paths and no others`(pattern: String, path: String, expected: Bool) throws {
        #expect(try PathPattern(pattern).matches(path: components(path), isDirectory: false) == expected)
        #expect(try PathPattern(pattern).matches(path: components(path), isDirectory: true) == expected)
    }

    @Test(arguments: ["build/", "/build/", "*/", "**/build/", "b[u]ild/"])
    func `a trailing slash matches folders only`(pattern: String) throws {
        #expect(try PathPattern(pattern).matches(path: ["build"], isDirectory: true))
        #expect(try !PathPattern(pattern).matches(path: ["build"], isDirectory: false))
    }

    @Test func `a trailing slash alone does not tie a pattern to the root`() throws {
        #expect(try PathPattern("build/").matches(path: ["a", "build"], isDirectory: true))
        #expect(try !PathPattern("/build/").matches(path: ["a", "build"], isDirectory: true))
    }

    @Test(arguments: ["*", "**", "/**", "a"])
    func `the root itself matches nothing`(pattern: String) throws {
        #expect(try !PathPattern(pattern).matches(path: [], isDirectory: true))
    }

    @Test func `composed and decomposed names differ`() throws {
        #expect(try !PathPattern("\u{E9}").matches(path: ["e\u{301}"], isDirectory: false))
        #expect(try PathPattern("e?").matches(path: ["e\u{301}"], isDirectory: false))
    }

    @Test(.timeLimit(.minutes(1)))
    func `stars without end take no time without end`() throws {
        let name = String(repeating: "a", count: 255)
        let stars = String(repeating: "*a", count: 60) + "*b"
        #expect(try !PathPattern(stars).matches(path: [name], isDirectory: false))
        let folders = String(repeating: "**/a/", count: 40) + "b"
        #expect(try !PathPattern(folders).matches(path: Array(repeating: "a", count: 400), isDirectory: false))
    }

    @Test(
        arguments: [
            ("", .empty), ("/", .empty), ("a//b", .neverMatches), ("//", .neverMatches), ("//a", .neverMatches),
            ("..", .neverMatches), ("a/../b", .neverMatches), (".", .neverMatches), ("a/.", .neverMatches),
            ("[a", .unterminatedClass), ("[", .unterminatedClass), ("[]", .unterminatedClass),
            ("[!]", .unterminatedClass),
            ("[a/b]", .unterminatedClass), ("[a\\", .unterminatedClass), ("[z-a]", .reversedRange),
            ("[[:alpha:]]", .namedClass), ("a\\", .danglingEscape), ("a\\/b", .danglingEscape), ("!a", .negation),
            ("- a", .negation), ("+ a", .negation),
        ] as [(String, PatternError.Reason)]
    )
    func `a malformed pattern is refused with its reason`(pattern: String, reason: PatternError.Reason) {
        let error = #expect(throws: PatternError.self) { try PathPattern(pattern) }
        #expect(error?.reason == reason)
        #expect(error?.pattern == pattern)
        #expect(error?.line == nil)
    }

    @Test func `a pattern file gives one pattern a line`() throws {
        let text = "\u{FEFF}# a comment\r\n\n*.o\r\n  \t\n\\#x\ntail \t\nkept\\ \nslash\\\\ \n lead\n/last"
        let patterns = try PathPattern.patterns(inLines: text).map(\.text)
        #expect(patterns == ["*.o", "\\#x", "tail", "kept\\ ", "slash\\\\", " lead", "/last"])
        #expect(try PathPattern.patterns(inLines: "").isEmpty)
    }

    @Test func `a mistake in a pattern file names its line`() {
        let error = #expect(throws: PatternError.self) { try PathPattern.patterns(inLines: "a\n\n# c\n[b\n") }
        #expect(error?.line == 4)
        #expect(error?.pattern == "[b")
        #expect(error?.description.hasPrefix("line 4: ") == true)
    }

    @Test(
        arguments: [
            (["*.log"], [], "a.log", true), (["*.log"], [], "a.txt", false), (["*.log", "*.txt"], [], "a.txt", true),
            (["*.log"], ["keep.log"], "d/keep.log", false), (["*.log"], ["keep.log"], "lost.log", true),
            (["a/*"], ["/a/b"], "a/b", false), ([], ["*.log"], "a.txt", false), ([], [], "a", false),
        ] as [([String], [String], String, Bool)]
    )
    func `an include wins over excludes and leaves nothing out by itself`(
        excluding: [String],
        including: [String],
        path: String,
        expected: Bool
    ) throws {
        let filter = PathFilter(
            excluding: try excluding.map { try PathPattern($0) },
            including: try including.map { try PathPattern($0) }
        )
        #expect(filter.excludes(components(path), isDirectory: false) == expected)
        #expect(filter.isEmpty == excluding.isEmpty)
    }

    @Test func `a filter hands on whether the entry is a folder`() throws {
        let filter = PathFilter(
            excluding: [try PathPattern("a/"), try PathPattern("b")],
            including: [try PathPattern("b/")]
        )
        #expect(filter.excludes(["a"], isDirectory: true))
        #expect(!filter.excludes(["a"], isDirectory: false))
        #expect(!filter.excludes(["b"], isDirectory: true))
        #expect(filter.excludes(["b"], isDirectory: false))
    }

    private func components(_ path: String) -> [String] {
        path.split(separator: "/").map(String.init)
    }
}
