// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Which sockets a daemon takes and removes, and whom a client talks to.
    @Suite("Sockets of one's own")
    struct DaemonLifecycleTests {
        private func home(_ label: String) throws -> ScratchFolder {
            let home = ScratchFolder(label)
            try FileManager.default.createDirectory(
                atPath: home.path + "/.rtun",
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
            return home
        }

        private func inode(_ path: String) -> UInt64? {
            var status = stat()
            return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
        }

        @Test("Where another program listens, or what is no socket has the name, no daemon starts and nothing goes")
        func foreignSocket() async throws {
            for isSocket in [true, false] {
                let home = try home("foreign")
                let path = home.path + "/.rtun/rtun.sock"
                let listener = isSocket ? try SilentListener(at: path) : nil
                if !isSocket { try TreeMaker.write("mine", to: path) }
                let before = inode(path)
                let result = try await BuiltBinary.run(
                    ["server", "-D", home.path + "/inbox"],
                    environment: DaemonUnderTest.environment(home: home.path),
                    timeout: .seconds(20)
                )
                #expect(result.status == 1 && !result.timedOut, "\(result)")
                #expect(result.stderr.contains("another program listens at \(path)"), "\(result)")
                #expect(inode(path) == before && before != nil)
                withExtendedLifetime(listener) {}
            }
        }

        @Test("At its end a daemon leaves the socket that has taken its name")
        func successor() async throws {
            let daemon = try await DaemonUnderTest.start()
            #expect(unlink(daemon.socket) == 0)
            let successor = try SilentListener(at: daemon.socket)
            let mine = inode(daemon.socket)
            try await daemon.stop()
            #expect(inode(daemon.socket) == mine)
            #expect(SilentListener.accepts(daemon.socket))
            withExtendedLifetime(successor) {}
        }

        @Test("SIGHUP is no death, also where it comes before the worker listens for it")
        func earlySIGHUP() async throws {
            let daemon = try await DaemonUnderTest.start()
            // With two more deaths the supervisor would give up.
            for turn in 0..<3 {
                let worker = try #require(daemon.children.first)
                kill(worker, SIGKILL)
                // The next one gets it from its first moment on.
                #expect(await Waiting.until { daemon.children.first.map { $0 != worker } ?? false })
                for _ in 0..<20 { daemon.reload() }
                #expect(await Waiting.until { daemon.log.components(separatedBy: " listening").count > turn + 2 })
                #expect(try await daemon.rtun("ping").status == 0)
            }
            try await daemon.stop()
        }

        @Test("Of many daemons that start at once over a dead socket one wins, and the others say that it runs")
        func manyAtOnce() async throws {
            for _ in 0..<3 {
                let home = try home("many")
                let path = home.path + "/.rtun/rtun.sock"
                try SilentListener.leaveDeadSocket(at: path)
                let daemons = try (0..<10).map { _ in
                    try ChildProcess(
                        BuiltBinary.path(),
                        ["server", "-D", home.path + "/inbox"],
                        environment: DaemonUnderTest.environment(home: home.path)
                    )
                }
                let isDecided = await Waiting.until(within: .seconds(60)) {
                    daemons.filter { $0.standardError.contains("already running") }.count == daemons.count - 1
                        && daemons.contains { $0.standardError.contains("listening on ") }
                }
                #expect(isDecided, "\(daemons.map { $0.standardError })")
                let winner = try #require(daemons.first { $0.standardError.contains("listening on ") })
                for loser in daemons where loser !== winner {
                    let result = await loser.wait(timeout: .seconds(20))
                    #expect(result.status == 1, "\(result)")
                }
                #expect(try RawPeer.ask("PING", at: path) == "OK PONG\r\n")
                winner.signal(SIGTERM)
                #expect(await winner.wait(timeout: .seconds(20)).status == 0)
                #expect(inode(path) == nil)
            }
        }

        @Test("A client says nothing to a socket on which another user listens")
        func foreignListener() async throws {
            let setpriv = "/usr/bin/setpriv"
            guard geteuid() == 0, FileManager.default.isExecutableFile(atPath: setpriv) else { return }
            let home = try home("theirs")
            let folder = home.path + "/theirs"
            try TreeMaker.folder(folder)
            #expect(chmod(home.path, 0o711) == 0 && chown(folder, 65_534, 65_534) == 0)
            // Where the mode does not keep root out: it is who listens that counts.
            let script = """
                import socket, sys
                s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); s.settimeout(30)
                print("ready", file=sys.stderr, flush=True)
                c, _ = s.accept(); c.settimeout(30)
                print(len(c.recv(65536)))
                """
            let path = folder + "/rtun.sock"
            let listener = try ChildProcess(
                setpriv,
                ["--reuid", "65534", "--clear-groups", "python3", "-c", script, path],
                environment: ["PATH": "/usr/bin:/bin"]
            )
            try await listener.wait(until: "it listens") { listener.standardError.contains("ready") }
            try TreeMaker.write("secret", to: home.path + "/a.txt")
            let result = try await BuiltBinary.run(
                ["send", "a.txt", "-s", path, "--wait=0"],
                environment: DaemonUnderTest.environment(home: home.path),
                folder: home.path
            )
            #expect(result.status == 3, "\(result)")
            let heard = await listener.wait(timeout: .seconds(40))
            #expect(heard.stdout == "0\n", "\(heard)")
        }
    }
}
