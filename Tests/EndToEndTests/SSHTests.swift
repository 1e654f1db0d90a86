// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `rtun ssh` from the laptop to a private sshd; `scripts/test-ssh` has the long list of accounts and settings.
    @Suite("rtun ssh", .enabled(if: LoopbackSSH.isAvailable, "this machine has no sshd"), .daemon)
    struct SSHTests {
        private let daemon: DaemonUnderTest
        private let folder: String

        init() throws {
            daemon = try #require(EndToEnd.daemon)
            folder = daemon.laptop + "/sshd-\(UInt32.random(in: 0 ... .max))"
        }

        /// sshd gives every login the server's home; the shell is the account's own.
        private var home: String { "SetEnv HOME=\(daemon.server)" }

        private func rtun(_ arguments: String...) async throws -> RunResult {
            try await BuiltBinary.run(arguments, environment: DaemonUnderTest.environment(home: daemon.laptop))
        }

        private func sockets() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: daemon.server + "/.rtun")
                .filter { $0.hasPrefix("rtun.sock") }
        }

        @Test("On an empty home a command gets its tunnel, the program and its exit code, and nothing is left")
        func command() async throws {
            try await LoopbackSSH.withServer(in: folder, [home]) { configuration in
                let line = "test -S $RTUN_SOCK && rtun ping && echo through > f && rtun send f; exit 7"
                let result = try await rtun("ssh", "-F", configuration, "rtun-loop", line)
                #expect(result.status == 7, "\(result)")
                #expect(result.outputLines.first == "OK PONG", "\(result)")
                #expect(result.stderr.contains("installing rtun"), "\(result)")
                #expect(try sockets() == [])
                // It came through the socket of this host, not of all.
                #expect(FileManager.default.fileExists(atPath: daemon.inbox + "/rtun-loop"))
                let again = try await rtun("ssh", "-F", configuration, "-S", "none", "rtun-loop", "rtun ping; exit 5")
                #expect(again.status == 5 && again.outputLines == ["OK PONG"], "\(again)")
                #expect(!again.stderr.contains("installing"))
                let checked = try await rtun("doctor", "-F", configuration, "rtun-loop")
                #expect(checked.stdout.contains("ok    ping from there"), "\(checked)")
            }
        }

        @Test("Where sockets are not forwarded the command runs, and the user learns what to ask for")
        func refusal() async throws {
            try await LoopbackSSH.withServer(in: folder, [home, "AllowStreamLocalForwarding no"]) { configuration in
                let result = try await rtun("ssh", "-F", configuration, "rtun-loop", "echo here; exit 3")
                #expect(result.status == 3, "\(result)")
                #expect(result.outputLines == ["here"])
                #expect(result.stderr.contains("AllowStreamLocalForwarding yes"))
            }
        }

        @Test("A node that shares the home sends through the node that made the socket")
        func relay() async throws {
            let state = daemon.server + "/.rtun"
            let path = state + "/rtun.sock.login9.ab12"
            try SilentListener.leaveDeadSocket(at: path)
            defer { try? FileManager.default.removeItem(atPath: path) }
            // Stands for the other node: runs what it is told, where the socket's name leads to the daemon.
            let bin = daemon.laptop + "/node"
            try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
            try TreeMaker.write(
                Array(
                    """
                    #!/bin/sh
                    while [ "$1" != -- ]; do shift; done
                    [ "$2" = login9 ] || exit 255
                    echo welcome to login9
                    exec sh -c "$(printf %s "$3" | sed s,\(path),\(daemon.socket),)"
                    """.utf8
                ),
                to: bin + "/ssh"
            )
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bin + "/ssh")
            try TreeMaker.write([UInt8](repeating: 7, count: 9 << 20), to: daemon.server + "/node.bin")
            let result = try await BuiltBinary.run(
                ["send", "node.bin"],
                environment: DaemonUnderTest.environment(home: daemon.server, firstInPath: bin),
                folder: daemon.server
            )
            #expect(result.status == 0, "\(result)")
            #expect(FileManager.default.contents(atPath: daemon.inbox + "/node.bin")?.count == 9 << 20)
        }
    }

    /// How one laptop is found among several sockets.
    @Suite("Finding the laptop", .daemon)
    struct FinderTests {
        private let daemon: DaemonUnderTest
        private let state: String

        init() throws {
            daemon = try #require(EndToEnd.daemon)
            state = daemon.server + "/.rtun"
        }

        private func rtun(_ arguments: String...) async throws -> RunResult {
            try await BuiltBinary.run(arguments, environment: DaemonUnderTest.environment(home: daemon.server))
        }

        private func refusal(_ code: UInt8) -> String {
            RawGreeting.lines(RawGreeting.message(0x03, [(1, [code]), (2, Array("not today".utf8))]))
        }

        @Test(
            "A refusal among several sockets is told, not taken for silence",
            arguments: [(3, 6), (2, 4)] as [(UInt8, Int32)]
        )
        func refusal(code: UInt8, status: Int32) async throws {
            let refusing = try WordyListener(at: state + "/rtun.sock.refusing", saying: refusal(code))
            try SilentListener.leaveDeadSocket(at: state + "/rtun.sock.gone")
            let result = try await rtun("ping")
            #expect(result.status == status, "\(result)")
            #expect(result.stderr.contains("not today"))
            withExtendedLifetime(refusing) {}
            for name in ["refusing", "gone"] {
                try FileManager.default.removeItem(atPath: state + "/rtun.sock." + name)
            }
        }

        @Test("A laptop that answers is used even where a newer one refuses")
        func other() async throws {
            let refusing = try WordyListener(at: state + "/rtun.sock.refusing", saying: refusal(3))
            var environment = DaemonUnderTest.environment(home: daemon.server)
            environment["RTUN_SOCK"] = daemon.socket
            let wanted = try await BuiltBinary.run(["ping", "--to", "laptop"], environment: environment)
            #expect(wanted.status == 0, "\(wanted)")
            let unknown = try await BuiltBinary.run(["ping", "--to", "nobody"], environment: environment)
            #expect(unknown.status == 6, "\(unknown)")
            withExtendedLifetime(refusing) {}
            try FileManager.default.removeItem(atPath: state + "/rtun.sock.refusing")
            let left = try await BuiltBinary.run(["ping", "--to", "nobody"], environment: environment)
            #expect(left.status == 3 && left.stderr.contains("those that do: laptop"), "\(left)")
        }

        @Test("SIGTERM and SIGHUP before a tunnel answers exit with 4", arguments: [SIGTERM, SIGHUP])
        func signal(number: Int32) async throws {
            let silent = try SilentListener(at: state + "/rtun.sock.silent\(number)")
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "-", "--name", "x"],
                environment: DaemonUnderTest.environment(home: daemon.server)
                    .merging(["RTUN_SOCK": state + "/rtun.sock.silent\(number)"]) { $1 },
                input: .bytesWithoutEnd([1])
            )
            try await Task.sleep(for: .milliseconds(700))
            process.signal(number)
            let result = await process.wait()
            #expect(result.status == 4, "\(result)")
            withExtendedLifetime(silent) {}
            try FileManager.default.removeItem(atPath: state + "/rtun.sock.silent\(number)")
        }

        @Test("pipe joins its streams to the socket")
        func pipe() async throws {
            let result = try await BuiltBinary.run(
                ["pipe", "-s", daemon.socket],
                environment: DaemonUnderTest.environment(home: daemon.server),
                input: .bytes(Array("PING\r\n".utf8))
            )
            #expect(result.status == 0 && result.stdout == "OK PONG\r\n", "\(result)")
        }

        @Test("status tells the daemon on the laptop and the sockets on the server")
        func status() async throws {
            let laptop = try await BuiltBinary.run(
                ["status", "--json"],
                environment: DaemonUnderTest.environment(home: daemon.laptop)
            )
            #expect(laptop.status == 0 && laptop.stdout.contains("\"running_transfers\":0"), "\(laptop)")
            try SilentListener.leaveDeadSocket(at: state + "/rtun.sock.old")
            let server = try await BuiltBinary.run(["status", "--json"], environment: daemon.serverEnvironment)
            #expect(server.status == 0 && server.stdout.contains("\"state\":\"live\""), "\(server)")
            #expect(server.stdout.contains("rtun.sock.old\",\"state\":\"dead\""), "\(server)")
            try FileManager.default.removeItem(atPath: state + "/rtun.sock.old")
        }
    }
}
