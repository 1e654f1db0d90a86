// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What is left out, because the user said so or because it cannot be sent.
    @Suite("What is not sent", .daemon)
    struct SendSelectionTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("choice")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func send(_ arguments: [String]) async throws -> RunResult {
            try await BuiltBinary.run(
                ["send", "-r"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
        }

        private func makeRun(_ name: String) throws {
            for file in ["a.csv", "a.tmp", "deep/b.csv", "deep/b.tmp", "cache/c.csv"] {
                try TreeMaker.write("\(file)\n", to: "\(source.path)/\(name)/\(file)")
            }
        }

        /// The files below a folder of the inbox, without the folders.
        private func files(_ name: String) -> [String] {
            let folder = "\(daemon.inbox)/\(name)"
            return TreeComparison.listing(folder).filter { path in
                var isFolder: ObjCBool = false
                return FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder)
                    && !isFolder.boolValue
            }
        }

        @Test("--exclude leaves out what its pattern names, at every depth")
        func exclude() async throws {
            try makeRun("excluded")
            let result = try await send(["excluded", "--exclude", "*.tmp", "--exclude", "cache"])
            #expect(result.status == 0, "\(result)")
            #expect(files("excluded") == ["a.csv", "deep/b.csv"])
        }

        @Test("--exclude-from takes its patterns from a file, without the comments in it")
        func excludeFrom() async throws {
            try makeRun("excluded from")
            try TreeMaker.write("# not wanted\n*.tmp\n\ncache\n", to: "\(source.path)/patterns")
            let result = try await send(["excluded from", "--exclude-from", "patterns"])
            #expect(result.status == 0, "\(result)")
            #expect(files("excluded from") == ["a.csv", "deep/b.csv"])
        }

        @Test("A file that cannot be read is listed, the others arrive, and the exit code is 5")
        func unreadable() async throws {
            try makeRun("locked")
            let locked = "\(source.path)/locked/deep/b.csv"
            try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: locked)
            var command = [try BuiltBinary.path(), "send", "-r", "locked"]
            if geteuid() == 0 {
                // Root reads everything, unless it may not override permissions; the daemon has to see its own user.
                let capabilities = "-dac_override,-dac_read_search"
                command = ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities] + command
            }
            let result = try await ChildProcess.run(
                "/usr/bin/env",
                command,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
            #expect(result.status == 5, "\(result)")
            #expect(result.stderr.contains("b.csv"), "\(result)")
            #expect(files("locked") == ["a.csv", "a.tmp", "cache/c.csv", "deep/b.tmp"])
        }

        @Test("Names that no laptop should get are refused and listed, the others arrive, and the exit code is 5")
        func refusedNames() async throws {
            try TreeMaker.write("x\n", to: "\(source.path)/names/good.txt")
            try TreeMaker.write("x\n", to: "\(source.path)/names/two\nlines.txt")
            try TreeMaker.write("x\n", to: "\(source.path)/names/esc\u{1B}[31m.txt")
            try TreeMaker.write("x\n", to: "\(source.path)/names/right\u{202E}txt.exe")
            let result = try await send(["names"])
            #expect(result.status == 5, "\(result)")
            #expect(files("names") == ["good.txt"])
            #expect(result.stderr.contains("lines.txt"), "\(result)")
            #expect(!result.stdout.contains("\u{1B}") && !result.stderr.contains("\u{1B}"), "raw control characters")
        }

        @Test("A link that leaves the tree is listed, and the exit code is 5")
        func outwardLink() async throws {
            try TreeMaker.write("x\n", to: "\(source.path)/linked/good.txt")
            try FileManager.default.createSymbolicLink(
                atPath: "\(source.path)/linked/away",
                withDestinationPath: "../../elsewhere"
            )
            let result = try await send(["linked"])
            #expect(result.status == 5, "\(result)")
            #expect(result.stderr.contains("away"), "\(result)")
            #expect(files("linked") == ["good.txt"])
            #expect(!TreeComparison.listing(daemon.inbox).contains("linked/away"))
        }

        @Test("A FIFO below a folder is listed, not waited for, and the exit code is 5")
        func fifo() async throws {
            try TreeMaker.write("x\n", to: "\(source.path)/piped/good.txt")
            #expect(mkfifo("\(source.path)/piped/fifo", 0o600) == 0)
            let result = try await send(["piped"])
            #expect(result.status == 5, "\(result)")
            #expect(result.stderr.contains("fifo"), "\(result)")
            #expect(files("piped") == ["good.txt"])
        }
    }
}
