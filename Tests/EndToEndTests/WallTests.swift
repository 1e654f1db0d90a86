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
            let daemon = try await DaemonUnderTest.start()
            guard daemon.log.contains("the wall around the daemon stands") else {
                // A kernel without Landlock: then it is said.
                #expect(daemon.log.contains("no wall around the daemon: "), "\(daemon.log)")
                return
            }
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
            let scratch = ScratchFolder("ground")
            let folder = scratch.path + "/gpu"
            try TreeMaker.folder(folder)
            let daemon = try await DaemonUnderTest.start(
                configuration: "[limits]\nfloor = 0\n[host.gpu01]\ndir = \"\(folder)\"\n"
            )
            guard daemon.log.contains("the wall around the daemon stands") else { return }
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
