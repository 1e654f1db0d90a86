// SPDX-License-Identifier: MIT

import Descriptors
import SystemPackage
import TestSupport
import Testing

@Suite("Errors as sentences")
struct SystemErrorTests {
    @Test("The sentence says what, which name and why")
    func sentence() {
        let error = SystemError(errno: .noSpace, call: "openat", name: "x", action: "create")
        #expect(error.description == "cannot create \"x\": No space left on device (openat)")
        let bare = SystemError(errno: .ioError, call: "fsync")
        #expect(bare.description == "cannot do fsync: \(Errno.ioError.description) (fsync)")
    }

    @Test(
        "Nothing in a name reaches the terminal raw",
        arguments: [
            ("a\u{1B}[2J", #""a\u{1b}[2J""#), ("a\nb", #""a\u{a}b""#), ("\u{9B}31m", #""\u{9b}31m""#),
            ("x\u{202E}gpj", #""x\u{202e}gpj""#), ("a\"b\\", #""a\"b\\""#), ("zero\u{200B}", #""zero\u{200b}""#),
            ("größe 字", #""größe 字""#),
        ]
    )
    func escapes(name: String, shown: String) {
        let error = SystemError(errno: .ioError, call: "openat", name: name, action: "open")
        #expect(error.description == "cannot open \(shown): \(Errno.ioError.description) (openat)")
    }

    @Test("A real failure carries its call, its name and its number")
    func realFailure() throws {
        let scratch = ScratchFolder("errors")
        let folder = try Directory.open(scratch.path)
        let error = #expect(throws: SystemError.self) { try folder.removeFile("absent") }
        #expect(error?.errno == .noSuchFileOrDirectory)
        #expect(error?.call == "unlinkat")
        #expect(error?.name == "absent")
        #expect(error?.description == "cannot remove \"absent\": No such file or directory (unlinkat)")
    }
}
