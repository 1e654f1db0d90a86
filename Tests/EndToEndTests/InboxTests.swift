// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What the user, or an accident, does to the folder that receives, and to the folder of the socket.
    @Suite("The folders of the daemon")
    struct InboxTests {
        private enum Accident: String, CaseIterable {
            case renamed, removed, replacedByLink, replacedByFolder
        }

        /// Lets it happen to the inbox, and returns a folder in which nothing may appear.
        private func happen(_ accident: Accident, to inbox: String) throws -> String {
            let files = FileManager.default
            let elsewhere = inbox + ".elsewhere"
            try files.createDirectory(atPath: elsewhere, withIntermediateDirectories: true)
            switch accident {
            case .renamed: try files.moveItem(atPath: inbox, toPath: inbox + ".moved")
            case .removed: try files.removeItem(atPath: inbox)
            case .replacedByLink:
                try files.moveItem(atPath: inbox, toPath: inbox + ".moved")
                try files.createSymbolicLink(atPath: inbox, withDestinationPath: elsewhere)
            case .replacedByFolder:
                try files.moveItem(atPath: inbox, toPath: inbox + ".moved")
                try files.createDirectory(atPath: inbox, withIntermediateDirectories: false)
            }
            return accident == .replacedByFolder ? inbox : elsewhere
        }

        @Test("An inbox that is moved, removed or replaced receives nothing more", arguments: Accident.allCases)
        private func accident(_ accident: Accident) async throws {
            let daemon = try await DaemonUnderTest.start()
            try TreeMaker.write("before", to: daemon.server + "/a.txt")
            #expect(try await daemon.rtun("send", "a.txt").status == 0)
            // One that is on its way meanwhile, and one that begins behind it.
            let running = try ChildProcess(
                BuiltBinary.path(),
                ["send", "-", "--name", "late.bin", "--wait=0"],
                environment: daemon.serverEnvironment,
                folder: daemon.server,
                input: .bytesWithoutEnd([UInt8](repeating: 7, count: 1 << 20))
            )
            let inbox = daemon.inbox
            #expect(await Waiting.until { FileManager.default.fileExists(atPath: inbox + "/.rtun-part") })
            let empty = try happen(accident, to: inbox)
            running.endInput()
            let late = await running.wait(timeout: .seconds(30))
            #expect(late.status == 7, "\(late)")
            let result = try await daemon.rtun("send", "a.txt", "--wait=0")
            #expect(result.status == 7, "\(result)")
            #expect(result.stderr.contains("the laptop's folder for this host cannot be used"), "\(result)")
            #expect(!result.stderr.contains(inbox), "\(result)")
            #expect(TreeComparison.listing(empty).isEmpty)
            #expect(!TreeComparison.listing(inbox + ".moved").contains("late.bin"))
            #expect(try await daemon.rtun("ping").status == 0)
            try await daemon.stop()
        }

        @Test(
            "A socket in a folder that others may write to, or behind a symlink, is refused; -d says why",
            arguments: [[], ["-d"]]
        )
        func socketFolder(_ more: [String]) async throws {
            let home = ScratchFolder("folder")
            let environment = DaemonUnderTest.environment(home: home.path)
            let (open, link) = (home.path + "/open", home.path + "/link")
            try TreeMaker.folder(open)
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: open)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: home.path)
            for folder in [open, link] {
                let arguments = ["server", "-D", home.path + "/inbox", "-s", folder + "/r.sock"] + more
                let result = try await BuiltBinary.run(arguments, environment: environment)
                #expect(result.status == 1, "\(result)")
                #expect(result.stderr.contains("must be yours, no symlink, and nobody else's to write"), "\(result)")
                #expect(!FileManager.default.fileExists(atPath: folder + "/r.sock"))
            }
        }

        @Test("A state folder that is a symlink is refused, with a slash behind it as well")
        func stateFolder() async throws {
            let home = ScratchFolder("state")
            try TreeMaker.folder(home.path + "/real")
            try FileManager.default.createSymbolicLink(atPath: home.path + "/link", withDestinationPath: "real")
            for ending in ["", "/", "//"] {
                var environment = DaemonUnderTest.environment(home: home.path)
                environment["RTUN_DIR"] = home.path + "/link" + ending
                let result = try await BuiltBinary.run(["server", "-D", home.path + "/in"], environment: environment)
                #expect(result.status == 1, "\(result)")
                #expect(result.stderr.contains("is a symlink or no folder"), "\(result)")
            }
            #expect(TreeComparison.listing(home.path + "/real").isEmpty)
        }

        @Test("A state folder that others may write to is refused on both sides, and no other user may read it")
        func stateFolderMode() async throws {
            let home = ScratchFolder("state")
            let folder = home.path + "/.rtun"
            try TreeMaker.folder(folder)
            let environment = DaemonUnderTest.environment(home: home.path)
            for mode: mode_t in [0o777, 0o720, 0o702] {
                #expect(chmod(folder, mode) == 0)
                let server = try await BuiltBinary.run(["server", "-D", home.path + "/in"], environment: environment)
                #expect(server.status == 1 && !server.timedOut, "\(server)")
                #expect(server.stderr.contains("others may write to \(folder)"), "\(server)")
                let client = try await BuiltBinary.run(["ping"], environment: environment)
                #expect(client.status != 0 && client.stderr.contains("others may write to \(folder)"), "\(client)")
            }
            #expect(TreeComparison.listing(folder).isEmpty)
            #expect(chmod(folder, 0o755) == 0)
            #expect(try await BuiltBinary.run(["ping"], environment: environment).status == 3)
            var status = stat()
            #expect(stat(folder, &status) == 0 && status.st_mode & 0o777 == 0o700)
        }
    }
}
