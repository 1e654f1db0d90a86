// SPDX-License-Identifier: MIT

import RTunDaemon
import Testing

@testable import rtun

/// `rtun ssh` reads its command line as ssh(1) reads its own.
struct SSHArgumentsTests {
    private typealias Mistake = SSHArguments.Mistake

    @Test(
        arguments: [
            (["host"], "", "host", []),
            (["-p", "22", "host", "ls", "-l"], "-p 22", "host", ["ls", "-l"]),
            (["-4vp22", "-luser", "host"], "-4 -v -p 22 -l user", "host", []),
            (["host", "-p", "22", "-A", "ls", "-p"], "-p 22 -A", "host", ["ls", "-p"]),
            (["-o", "ProxyJump=a", "--", "host", "-x", "y"], "-o ProxyJump=a", "host", ["-x", "y"]),
            (["host", "--", "--keep"], "", "host", ["--keep"]),
            (
                ["-J", "a,b", "-L8080:localhost:80", "me@host", "a b", "c"], "-J a,b -L 8080:localhost:80", "me@host",
                ["a b", "c"]
            ),
            (["-W", "-x", "host"], "-W -x", "host", []),
        ] as [([String], String, String, [String])]
    )
    func `options, host and command are told apart`(
        words: [String],
        options: String,
        host: String,
        command: [String]
    ) throws {
        let arguments = try SSHArguments(words)
        #expect(arguments.options.flatMap { $0.words }.joined(separator: " ") == options)
        #expect(arguments.destination == host)
        #expect(arguments.command == command)
    }

    @Test(
        arguments: [
            [], ["-p"], ["-p", "22"], ["-z", "host"], ["--unknown", "host"], ["--label"], ["--keep", "host", "ls"],
            ["--keep", "-f", "host"],
        ]
    )
    func `what makes no sense is refused`(words: [String]) {
        #expect(throws: Mistake.self) { try SSHArguments(words) }
    }

    @Test func `rtun's own options are long and may stand behind the host`() throws {
        let arguments = try SSHArguments(["--label=big", "host", "--keep", "--no-install"])
        #expect(arguments.isKept)
        #expect(!arguments.installs)
        #expect(arguments.label == "big")
        #expect(arguments.options.isEmpty)
    }

    @Test(arguments: [
        ["-G", "host"], ["-V"], ["-Q", "cipher"], ["-O", "check", "host"], ["-W", "a:1", "h"], ["-s", "h", "sftp"],
    ])
    func `ssh's own business is left to ssh`(words: [String]) throws {
        #expect(try SSHArguments(words).isPlain)
    }

    @Test(
        arguments: [
            (["-S", "none", "h"], true), (["-o", "ControlPath=none", "h"], true), (["-oControlPath none", "h"], true),
            (["-o", "controlpath = none", "h"], true), (["-S", "/x", "h"], false), (["h"], false),
        ] as [([String], Bool)]
    )
    func `a shared connection can be forbidden`(words: [String], isForbidden: Bool) throws {
        #expect(try SSHArguments(words).forbidsSharing == isForbidden)
    }

    @Test func `options can be left out by letter`() throws {
        let arguments = try SSHArguments(["-tt", "-L1:a:2", "-v", "h"])
        #expect(arguments.words(without: "Lt") == ["-v"])
    }

    @Test(
        arguments: [
            ("cluster", "cluster"), ("me@Cluster.example.org", "cluster.example.org"),
            ("ssh://me@host:2222", "host"), ("ssh://[::1]:22", "1-"), ("me@x@host", "host"),
            ("../etc", "etc"), ("-", "host"), ("", "host"), ("default", "default-host"), ("a/b c", "a-b-c"),
            ("größe", "gr----e"),
        ]
    )
    func `a label is made of the host alone`(destination: String, label: String) {
        #expect(HostLabel(destination: destination).text == label)
        #expect(HostLabel(HostLabel(destination: destination).text) != nil)
    }

    @Test func `long names keep apart and fit`() {
        let long = String(repeating: "login.", count: 8)
        let labels = [HostLabel(destination: long + "a"), HostLabel(destination: long + "b")]
        #expect(labels[0] != labels[1])
        #expect(labels.allSatisfy { $0.text.utf8.count <= 32 })
    }
}
