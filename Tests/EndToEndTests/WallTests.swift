// SPDX-License-Identifier: MIT

#if os(Linux)
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The second wall around the worker, and the process outside of it that runs the desktop's programs.
    @Suite("The wall around the worker")
    struct WallTests {
        /// The first line with this key of a process's status.
        private func status(_ process: Int32, _ key: String) -> String? {
            let text = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") }
            return line?.split(separator: "\t").last.map(String.init)
        }

        private func children(of process: Int32) -> [Int32] {
            let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
            return tasks.flatMap { task in
                let path = "/proc/\(process)/task/\(task)/children"
                let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
                return text.split(separator: " ").compactMap { Int32($0) }
            }
        }

        @Test("The worker is behind it and the desktop's process is not; log and status say that it stands")
        func stands() async throws {
            guard Landlock.isThere else { return }
            let daemon = try await DaemonUnderTest.start()
            #expect(daemon.log.contains("the wall around the daemon stands"), "\(daemon.log)")
            let worker = try #require(daemon.children.first)
            let desktop = try #require(children(of: worker).first)
            #expect(status(daemon.identifier, "NoNewPrivs") == "0")
            #expect(status(worker, "NoNewPrivs") == "1")
            #expect(status(desktop, "NoNewPrivs") == "0")
            let answer = try RawPeer.ask("STATUS", at: daemon.laptop + "/.rtun/ctl.sock")
            #expect(answer.contains("\"wall\":\"landlock "), "\(answer)")
            #expect(answer.contains("\"desktop\":true"), "\(answer)")
            try await daemon.stop()
            #expect(kill(desktop, 0) == -1 && errno == ESRCH)
        }

        @Test("A folder that took a host's place is not written to before SIGHUP; the kernel holds that")
        func replacedFolder() async throws {
            guard Landlock.isThere else { return }
            let scratch = ScratchFolder("ground")
            let folder = scratch.path + "/gpu"
            try TreeMaker.folder(folder)
            let daemon = try await DaemonUnderTest.start(
                configuration: "[limits]\nfloor = 0\n[host.gpu01]\ndir = \"\(folder)\"\n"
            )
            let socket = daemon.laptop + "/.rtun/s/gpu01.sock"
            try TreeMaker.write("there", to: daemon.server + "/a.txt")
            #expect(try await daemon.rtun("send", "a.txt", "-s", socket).status == 0)
            #expect(TreeComparison.listing(folder).contains("a.txt"))

            try FileManager.default.moveItem(atPath: folder, toPath: folder + ".moved")
            try TreeMaker.folder(folder)
            let refused = try await daemon.rtun("send", "a.txt", "-s", socket, "--wait=0")
            #expect(refused.status == 7, "\(refused)")
            #expect(!refused.stderr.contains(folder), "\(refused)")
            #expect(TreeComparison.listing(folder).isEmpty)

            let worker = try #require(daemon.children.first)
            daemon.reload()
            #expect(await Waiting.until { daemon.log.components(separatedBy: " listening").count == 3 })
            #expect(daemon.children.first != worker)
            let sent = try await daemon.rtun("send", "a.txt", "-s", socket)
            #expect(sent.status == 0, "\(sent)")
            #expect(TreeComparison.listing(folder).contains("a.txt"))
            // A new start that was asked for is no death: seven in a minute are fine.
            for turn in 3..<10 {
                try FileManager.default.moveItem(atPath: folder, toPath: folder + ".moved\(turn)")
                try TreeMaker.folder(folder)
                daemon.reload()
                #expect(await Waiting.until { daemon.log.components(separatedBy: " listening").count == turn + 1 })
            }
            #expect(try await daemon.rtun("ping").status == 0)
            try await daemon.stop()
        }

        @Test("It stands for a user other than root as well, and a send passes; an inbox without modes gets nothing")
        func ordinaryUser() async throws {
            let user: UInt32 = 65_534
            let become = ["/usr/bin/setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups"]
            guard Landlock.isThere, geteuid() == 0, FileManager.default.isExecutableFile(atPath: become[0]) else {
                return
            }
            let start = try await ChildProcess.run(
                become[0],
                become.dropFirst() + [BuiltBinary.path(), "--version"],
                environment: [:]
            )
            // A build in a folder that is closed to others.
            guard start.status == 0 else { return }
            let daemon = try await DaemonUnderTest.start(under: become, ownedBy: user)
            #expect(daemon.log.contains("the wall around the daemon stands"), "\(daemon.log)")
            let worker = try #require(daemon.children.first)
            #expect(status(worker, "NoNewPrivs") == "1")
            #expect(status(worker, "Uid") == "\(user)")
            func send(_ arguments: [String], _ input: ChildProcess.Input = .nothing) throws -> ChildProcess {
                try ChildProcess(
                    become[0],
                    become.dropFirst() + [BuiltBinary.path(), "send"] + arguments,
                    environment: daemon.serverEnvironment,
                    folder: daemon.server,
                    input: input
                )
            }
            try TreeMaker.write("there", to: daemon.server + "/a.txt")
            let sent = await (try send(["a.txt"])).wait()
            #expect(sent.status == 0, "\(sent)")
            #expect(try String(contentsOfFile: daemon.inbox + "/a.txt", encoding: .utf8) == "there")

            // Root may do anything whatever the modes, so this is to be seen with another user alone.
            let bytes = [UInt8](repeating: 7, count: 1 << 20)
            let late = try send(["-", "--name", "late.bin", "--wait=0"], .bytesWithoutEnd(bytes))
            let inbox = daemon.inbox
            #expect(await Waiting.until { FileManager.default.fileExists(atPath: inbox + "/.rtun-part") })
            #expect(chmod(inbox, 0) == 0)
            late.endInput()
            let ended = await late.wait()
            #expect(ended.status == 7, "\(ended)")
            #expect(!ended.stderr.contains(inbox), "\(ended)")
            #expect(chmod(inbox, 0o700) == 0)
            #expect(!FileManager.default.fileExists(atPath: inbox + "/late.bin"))
            let again = await (try send(["a.txt"])).wait()
            #expect(again.status == 0, "\(again)")
            try await daemon.stop()
        }

        @Test("Without Landlock the daemon says so, in its log and to the user, and works")
        func absent() async throws {
            let strace = "/usr/bin/strace"
            guard FileManager.default.isExecutableFile(atPath: strace) else { return }
            // As a grandchild it leaves the daemon where the test started it.
            let hide = [
                strace, "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset",
                "-e", "inject=landlock_create_ruleset:error=EOPNOTSUPP",
            ]
            let daemon = try await DaemonUnderTest.start(under: hide)
            #expect(daemon.log.contains("no wall around the daemon: the system has no Landlock"), "\(daemon.log)")
            let answer = try RawPeer.ask("STATUS", at: daemon.laptop + "/.rtun/ctl.sock")
            #expect(answer.contains("\"wall\":\"none: the system has no Landlock\""), "\(answer)")
            try TreeMaker.write("there", to: daemon.server + "/a.txt")
            #expect(try await daemon.rtun("send", "a.txt").status == 0)
            #expect(try await daemon.rtun("notify", "shown").status == 0)
            #expect(daemon.desktop.notifications().contains { $0.arguments.contains { $0.contains("shown") } })
            try await daemon.stop()
        }

        @Test("Without the desktop's process nothing is shown, and everything else goes on")
        func desktopDies() async throws {
            let daemon = try await DaemonUnderTest.start()
            let worker = try #require(daemon.children.first)
            let desktop = try #require(children(of: worker).first)
            #expect(try await daemon.rtun("notify", "before").status == 0)
            #expect(kill(desktop, SIGKILL) == 0)
            #expect(await Waiting.until { daemon.log.contains("the process that opens and shows has died") })
            #expect(kill(desktop, 0) == -1, "it was not reaped")
            let unheard = try await daemon.rtun("notify", "after")
            #expect(unheard.status == 1, "\(unheard)")
            try TreeMaker.write("x", to: daemon.server + "/a.txt")
            #expect(try await daemon.rtun("view", "a.txt").status != 0)
            #expect(try await daemon.rtun("send", "a.txt").status == 0)
            #expect(daemon.children.first == worker)
            let answer = try RawPeer.ask("STATUS", at: daemon.laptop + "/.rtun/ctl.sock")
            #expect(answer.contains("\"desktop\":false"), "\(answer)")
            try await daemon.stop()
        }
    }
}
#endif
