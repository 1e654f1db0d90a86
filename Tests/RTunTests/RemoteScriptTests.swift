// SPDX-License-Identifier: MIT

import Testing

@testable import rtun

/// What `rtun ssh` runs on the server, and how it reads the answers.
struct RemoteScriptTests {
    private static func reply(_ lines: String...) -> RemoteReply {
        RemoteReply(Array(lines.joined(separator: "\n").utf8), mark: "rtun-x")
    }

    /// An account as the script describes it, with more lines at its end.
    private static func account(_ more: String...) throws -> RemoteAccount {
        let lines =
            [
                "rtun-x begin", "rtun-x system Linux x86_64", "rtun-x host n1", "rtun-x user 7", "rtun-x home /h/u",
                "rtun-x shell /bin/bash", "rtun-x state /h/u/.rtun", "rtun-x socket /h/u/.rtun/rtun.sock.n1.ab",
            ] + more + ["rtun-x end"]
        return try #require(RemoteAccount(RemoteReply(Array(lines.joined(separator: "\n").utf8), mark: "rtun-x")))
    }

    @Test func `noise around an answer is no part of it`() {
        let reply = Self.reply(
            "motd",
            "rtun-y begin",
            "rtun-x begin\r",
            "noise rtun-x host a",
            "rtun-x host b c",
            "rtun-x end"
        )
        #expect(reply.isWhole)
        #expect(reply.value(of: "host") == "b c")
        #expect(reply.noise == ["motd", "rtun-y begin", "noise rtun-x host a"])
    }

    @Test(
        arguments: [
            [], ["rtun-x begin"], ["rtun-x host a", "rtun-x end"], ["rtun-x begin", "rtun-x end", "rtun-x host a"],
        ]
    )
    func `an answer cut short is none`(lines: [String]) {
        let reply = RemoteReply(Array(lines.joined(separator: "\n").utf8), mark: "rtun-x")
        #expect(!reply.isWhole)
        #expect(RemoteAccount(reply) == nil)
    }

    @Test func `an account is read`() throws {
        let account = try Self.account("rtun-x program 0.1.0 /h/u/my bin/rtun", "rtun-x program - /usr/bin/rtun")
        #expect(account.system == "Linux")
        #expect(account.machine == "x86_64")
        #expect(account.socket == "/h/u/.rtun/rtun.sock.n1.ab")
        #expect(account.programs.map { $0.path } == ["/h/u/my bin/rtun", "/usr/bin/rtun"])
        #expect(account.programs.map { $0.version?.description } == ["0.1.0", nil])
    }

    @Test(
        arguments: [
            "/h/a:b/s", "/h/a b/s", "/h/%h/s", "/h/${X}/s", "/h/it's/s", "/h/\\/s", "relative/s", "/h/\u{1b}/s",
            "/h/ä/s",
        ]
    )
    func `a path that ssh or a shell would read otherwise is not forwarded`(path: String) throws {
        #expect(!RemoteAccount.isForwardable(path))
        let reply = Self.reply(
            "rtun-x begin",
            "rtun-x home /h",
            "rtun-x shell /bin/sh",
            "rtun-x socket " + path,
            "rtun-x end"
        )
        #expect(try #require(RemoteAccount(reply)).socket == nil)
    }

    @Test(
        arguments: [
            ([], .install(["/h/u/.local/bin/rtun", "/h/u/.rtun/bin/rtun", "/tmp/rtun-7/bin/rtun"])),
            (["1.2.3 /usr/bin/rtun"], .use("/usr/bin/rtun")),
            (["1.3.0 /usr/bin/rtun"], .use("/usr/bin/rtun")),
            (["1.2.2 /usr/bin/rtun", "1.2.3 /h/u/.local/bin/rtun"], .use("/h/u/.local/bin/rtun")),
            (["- /h/u/.local/bin/rtun"], .install(["/h/u/.rtun/bin/rtun", "/tmp/rtun-7/bin/rtun"])),
            (
                ["1.2.2 /h/u/.local/bin/rtun"],
                .install(["/h/u/.local/bin/rtun", "/h/u/.rtun/bin/rtun", "/tmp/rtun-7/bin/rtun"])
            ),
        ] as [([String], RemoteAccount.Supply)]
    )
    func `an equal or newer program serves, another tool's is never replaced`(
        programs: [String],
        supply: RemoteAccount.Supply
    ) throws {
        let lines = programs.map { "rtun-x program " + $0 }.joined(separator: "\n")
        let version = try #require(ToolVersion("1.2.3"))
        #expect(try Self.account(lines).supply(for: version) == supply)
    }

    @Test(arguments: ["1.2", "1.2.3.4", "a.b.c", "", "-", "1..3", "rtun version 0.1.3"])
    func `what is no version is another tool's`(text: String) {
        #expect(ToolVersion(text) == nil)
    }

    @Test func `versions are compared by number`() throws {
        let versions = ["0.9.10", "0.10.0", "1.0.0", "1.0.0-dev"].compactMap { ToolVersion($0) }
        #expect(versions[0] < versions[1])
        #expect(versions[1] < versions[2])
        #expect(!(versions[2] < versions[3]) && !(versions[3] < versions[2]))
    }

    @Test(
        arguments: [
            (
                "/bin/bash",
                "RTUN_SOCK='/s'; export RTUN_SOCK; case \":$PATH:\" in *:'/b':*) ;; *) PATH=\"$PATH\":'/b' ;; esac; export PATH; ls -l"
            ),
            ("/usr/bin/tcsh", "setenv RTUN_SOCK '/s'; setenv PATH \"$PATH\":'/b'; ls -l"),
            ("/usr/bin/fish", "set -gx RTUN_SOCK '/s'; set -gx PATH $PATH '/b'; ls -l"),
        ]
    )
    func `a command is given to the login shell in its own language`(shell: String, line: String) {
        let remote = RemoteShell(path: shell, socket: "/s", programFolder: "/b", isFirst: false, stateFolder: nil)
        #expect(remote.commandLine(running: ["ls", "-l"]) == line)
    }

    @Test func `the line for a single connection holds nothing that a shell reads`() {
        let line = RemoteScript.alone(socket: "/tmp/s", command: ["echo", "it's $HOME `x` \\ !"])
        #expect(line.hasPrefix("exec /bin/sh -c 'eval \"$(printf %b \"$0\")\"' '\\0"))
        let encoded = line.split(separator: " ").last ?? ""
        #expect(encoded.dropFirst().dropLast().allSatisfy { $0 == "\\" || ("0"..."7").contains($0) })
    }

    @Test(
        arguments: [
            ("rtun.sock.login1.ab12", "login1"), ("rtun.sock.login1.cluster.org.ab12", "login1.cluster.org"),
            ("rtun.sock", nil), ("rtun.sock.1234", nil), ("rtun.sock.-oProxyCommand=x.ab", nil),
            ("rtun.sock.a b.c", nil), ("rtun.sock..x", nil), ("rtun.sockx.a.b", nil),
        ] as [(String, String?)]
    )
    func `a socket's name tells the node that made it`(name: String, host: String?) {
        #expect(SocketFolder.host(inName: name) == host)
    }
}
