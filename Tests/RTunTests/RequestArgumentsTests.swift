// SPDX-License-Identifier: MIT

import Testing
import Transfer

@testable import rtun

/// How words of a command line become a request.
struct RequestArgumentsTests {
    @Test(
        arguments: [
            ("a", "/home/me/a"), ("./a", "/home/me/a"), ("a/", "/home/me/a"), ("a//b/./c", "/home/me/a/b/c"),
            ("/x/y/", "/x/y"), ("/x//./y", "/x/y"), ("/usr/lib/../bin", "/usr/bin"), ("/", "/"), ("/usr/..", "/"),
        ]
    )
    func `a path counts from the working folder`(_ path: String, _ expected: String) throws {
        let found = try SendRequest.absolute(path, in: "/home/me")
        // /bin and /lib may be links: what is resolved is the folder alone.
        #expect(found == expected)
    }

    @Test func `at the root nothing is doubled`() throws {
        #expect(try SendRequest.absolute("a", in: "/") == "/a")
    }

    @Test(
        arguments: [
            ("800", 819_200), ("800k", 819_200), ("800K", 819_200), ("1.5M", 1_572_864), ("1g", 1 << 30),
        ] as [(String, UInt64)]
    )
    func `a rate is in KiB unless it has a unit`(_ text: String, _ expected: UInt64) {
        #expect(TransferOptions.bytesPerSecond(text) == expected)
    }

    @Test(arguments: ["", "k", "0", "-1", "1e3", "inf", "nan", "1.2.3", "1 M", "fast", "99999999999999999G"])
    func `other words are no rate`(_ text: String) {
        #expect(TransferOptions.bytesPerSecond(text) == nil)
    }

    @Test(arguments: [("30s", 30), ("10m", 600), ("24h", 86_400), ("7", 7), ("0", 0)] as [(String, Int64)])
    func `a duration`(_ text: String, _ seconds: Int64) {
        #expect(TransferOptions.duration(text) == .seconds(seconds))
    }
}
