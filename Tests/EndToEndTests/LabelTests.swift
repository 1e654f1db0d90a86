// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Hosts that have a socket of their own on the laptop.
    @Suite("Hosts with a label")
    struct LabelTests {
        private func rtun(_ daemon: DaemonUnderTest, _ socket: String, _ arguments: String...) async throws -> RunResult
        {
            try await BuiltBinary.run(
                arguments + ["-s", socket],
                environment: DaemonUnderTest.environment(home: daemon.server),
                folder: daemon.server
            )
        }

        @Test("LABEL makes a private socket, and what comes through it lands in the host's folder, under its label")
        func delivery() async throws {
            let daemon = try await DaemonUnderTest.start()
            let socket = try daemon.labelSocket("gpu01")
            #expect(socket == daemon.laptop + "/.rtun/s/gpu01.sock")
            #expect(try daemon.labelSocket("gpu01") == socket)
            let files = FileManager.default
            #expect(try files.attributesOfItem(atPath: socket)[.posixPermissions] as? Int == 0o600)
            #expect(
                try files.attributesOfItem(atPath: daemon.laptop + "/.rtun/s")[.posixPermissions] as? Int == 0o700
            )

            let ping = try await rtun(daemon, socket, "ping", "-v")
            #expect(ping.stdout.contains("label       gpu01\n"), "\(ping)")
            #expect(try await daemon.rtun("ping", "-v").stdout.contains("label       default\n"))

            try TreeMaker.write("one", to: daemon.server + "/a.txt")
            for _ in 1...2 {
                let sent = try await rtun(daemon, socket, "send", "a.txt")
                #expect(sent.status == 0, "\(sent)")
            }
            #expect(try String(contentsOfFile: daemon.inbox + "/gpu01/a.txt", encoding: .utf8) == "one")
            #expect(!files.fileExists(atPath: daemon.inbox + "/gpu01/a (2).txt"))
            #expect(!files.fileExists(atPath: daemon.inbox + "/a.txt"))
            #expect(!files.fileExists(atPath: daemon.inbox + "/.rtun-receipts"), "filed with the host, not in common")

            #expect(try await rtun(daemon, socket, "notify", "labelled-1").status == 0)
            let desktop = daemon.desktop
            #expect(await Waiting.until { !desktop.notifications().isEmpty })
            let call = try #require(desktop.notifications().first)
            #expect(call.arguments.contains { $0.hasPrefix("[gpu01] ") }, "\(call.arguments)")

            let bytes = ViewNotifyTests.picture("from gpu01")
            try TreeMaker.write(bytes, to: daemon.server + "/p.png")
            #expect(try await rtun(daemon, socket, "view", "p.png").status == 0)
            #expect(await Waiting.until { desktop.opened().contains { $0.contents == bytes } })
            try await daemon.stop()
            #expect(!files.fileExists(atPath: socket))
        }

        @Test("What is no label gets an error, and no socket")
        func refused() async throws {
            let daemon = try await DaemonUnderTest.start()
            for label in ["", "default", "GPU", "../gpu", "a/b", ".a", String(repeating: "x", count: 33)] {
                let answer = try RawPeer.ask("LABEL \(label)", at: daemon.laptop + "/.rtun/ctl.sock")
                #expect(answer.hasPrefix("ERROR a label is "), "\(label)")
            }
            #expect(!FileManager.default.fileExists(atPath: daemon.laptop + "/.rtun/s"))
            // Not on a socket that is forwarded; its error ends without a line end.
            #expect(
                try RawPeer.ask("LABEL gpu01\r\nPING", at: daemon.socket)
                    == "ERROR 100 Unknown command: LABEL gpu01OK PONG\r\n"
            )
            #expect(!FileManager.default.fileExists(atPath: daemon.laptop + "/.rtun/s"))
            try await daemon.stop()
        }

        @Test("Labels listen again after a restart, and after the death of the worker")
        func remembered() async throws {
            let first = try await DaemonUnderTest.start()
            let sockets = try ["zeta", "alpha"].map { try first.labelSocket($0) }
            #if os(Linux)
            let worker = try #require(first.children.first)
            kill(worker, SIGKILL)
            #expect(await Waiting.until { first.children.first.map { $0 != worker } ?? false })
            for socket in sockets {
                #expect(await Waiting.until { SilentListener.accepts(socket) })
                #expect(try await rtun(first, socket, "ping").status == 0)
            }
            #endif
            try await first.stop()
            let second = try await first.startAgain()
            for socket in sockets { #expect(try await rtun(second, socket, "ping").status == 0) }
            try await second.stop()
        }

        @Test("The plain socket cannot write into a host's folder")
        func plainIsKeptOut() async throws {
            let daemon = try await DaemonUnderTest.start()
            let socket = try daemon.labelSocket("gpu01")
            try TreeMaker.write("ours", to: daemon.server + "/gpu01/a.txt")
            #expect(try await rtun(daemon, socket, "send", "gpu01/a.txt").status == 0)
            try TreeMaker.write("theirs", to: daemon.server + "/b.txt")
            for destination in ["gpu01/", "GPU01/", "gpu01/sub/"] {
                let refused = try await daemon.rtun("send", "b.txt", "-o", destination)
                #expect(refused.status == 6, "\(refused)")
                #expect(refused.stderr.contains("the destination cannot be used on the laptop"), "\(refused)")
            }
            let beside = try await daemon.rtun("send", "-r", "gpu01")
            #expect(beside.status == 0, "\(beside)")
            #expect(TreeComparison.listing(daemon.inbox + "/gpu01").filter { !$0.hasPrefix(".") } == ["a.txt"])
            #expect(FileManager.default.fileExists(atPath: daemon.inbox + "/gpu01 (2)/a.txt"))
            try await daemon.stop()
        }

        @Test("Another user is turned away before a byte of his is read")
        func otherUser() async throws {
            guard geteuid() == 0, FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv") else { return }
            let daemon = try await DaemonUnderTest.start()
            let plain = daemon.socket
            let socket = try daemon.labelSocket("gpu01")
            // On purpose: what the modes of folder and socket would prevent.
            for path in [daemon.laptop, daemon.laptop + "/.rtun", daemon.laptop + "/.rtun/s"] {
                try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: path)
            }
            let control = daemon.laptop + "/.rtun/ctl.sock"
            for path in [plain, socket, control] {
                try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
            }
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o711],
                ofItemAtPath: (daemon.laptop as NSString).deletingLastPathComponent
            )
            let script = """
                import socket, sys
                for path in sys.argv[1:]:
                    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(path)
                    try:
                        s.sendall(b"PING\\r\\n"); print(len(s.recv(100)))
                    except OSError: print(0)
                """
            func ask(_ user: String) async throws -> RunResult {
                try await ChildProcess.run(
                    "/usr/bin/setpriv",
                    ["--reuid", user, "--clear-groups", "python3", "-c", script, plain, socket, control],
                    environment: ["PATH": "/usr/bin:/bin"]
                )
            }
            #expect(try await ask("65534").stdout == "0\n0\n0\n")
            let own = try await ask("0").stdout
            #expect(own.hasPrefix("9\n9\n"), "\(own)")
            try await daemon.stop()
        }
    }
}
