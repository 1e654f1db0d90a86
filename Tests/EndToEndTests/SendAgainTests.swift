// SPDX-License-Identifier: MIT

import Descriptors
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Names that are taken: by the user's own files, and by what rtun delivered before.
    @Suite("Sending what is there already", .daemon)
    struct SendAgainTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("again")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func send(_ arguments: String...) async throws -> RunResult {
            try await BuiltBinary.run(
                ["send"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path
            )
        }

        private func write(_ text: String, to name: String) throws {
            try TreeMaker.write(text, to: "\(source.path)/\(name)")
        }

        private func writeInInbox(_ text: String, to name: String) throws {
            try TreeMaker.write(text, to: "\(daemon.inbox)/\(name)")
        }

        private func arrived(_ name: String) -> String? {
            FileManager.default.contents(atPath: "\(daemon.inbox)/\(name)").map { String(decoding: $0, as: UTF8.self) }
        }

        @Test("The user's own file is kept, and the new one lands beside it")
        func conflict() async throws {
            try write("from the server\n", to: "taken.txt")
            try writeInInbox("the user's\n", to: "taken.txt")
            let result = try await send("taken.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("taken.txt") == "the user's\n")
            #expect(arrived("taken (2).txt") == "from the server\n")
            #expect((result.stdout + result.stderr).contains("taken (2).txt"), "\(result)")
        }

        @Test("A folder in which nothing changed is left alone, one in which something did gets its time back")
        func foldersLeftAlone() async throws {
            for folder in ["still", "busy"] { try write("first\n", to: "results/\(folder)/a.txt") }
            #expect(try await send("-r", "results").status == 0)
            let before = try ["still", "busy"].map { try status("results/\($0)") }
            try write("second\n", to: "results/busy/a.txt")
            #expect(try await send("-r", "results").status == 0)
            #expect(arrived("results/busy/a.txt") == "second\n")
            let after = try ["still", "busy"].map { try status("results/\($0)") }
            #expect(after[0] == before[0])
            #expect(after[1].modified == before[1].modified)
            #expect(after[1].changed != before[1].changed)
        }

        private func status(_ name: String) throws -> FileStatus {
            try Directory.open("\(daemon.inbox)/\(name)").descriptor.status()
        }

        @Test(
            "With --conflict nothing is replaced: the new one lands beside it, is left out, or ends the send",
            arguments: ["rename", "skip", "error"]
        )
        func conflictRule(_ rule: String) async throws {
            // What this server delivered, what it did not, and what is new.
            for name in ["ours", "same"] { try write("first\n", to: "\(rule)/\(name).txt") }
            #expect(try await send("-r", rule).status == 0)
            try writeInInbox("the user's\n", to: "\(rule)/theirs.txt")
            for name in ["ours", "theirs", "new"] { try write("second\n", to: "\(rule)/\(name).txt") }
            let result = try await send("--conflict", rule, "-r", rule)
            let listing = TreeComparison.listing("\(daemon.inbox)/\(rule)").sorted()
            #expect(arrived("\(rule)/ours.txt") == "first\n")
            #expect(arrived("\(rule)/theirs.txt") == "the user's\n")
            #expect(!listing.contains { $0.contains("(2)") })
            let beside = FileManager.default.fileExists(atPath: "\(daemon.inbox)/\(rule) (2)")
            #expect(beside == (rule == "rename"))
            switch rule {
            case "rename":
                #expect(result.status == 0, "\(result)")
                #expect(arrived("rename (2)/ours.txt") == "second\n")
                #expect(arrived("rename (2)/same.txt") == "first\n")
            case "skip":
                #expect(result.status == 0, "\(result)")
                #expect(arrived("skip/new.txt") == "second\n")
                #expect(result.stderr.contains("2 files were left out"), "\(result)")
            default:
                #expect(result.status == 1, "\(result)")
                #expect(result.stderr.contains("another error/ours.txt stands there already"), "\(result)")
                #expect(arrived("error/new.txt") == nil)
            }
        }

        @Test("A folder of the user's is left alone as a whole by --conflict skip, and what is the same is no conflict")
        func conflictOfFolders() async throws {
            try write("from the server\n", to: "own/inner/a.txt")
            try write("alike\n", to: "alike.txt")
            try writeInInbox("the user's\n", to: "own/b.txt")
            try writeInInbox("alike\n", to: "alike.txt")
            let skipped = try await send("--json", "--conflict", "skip", "-r", "own", "alike.txt")
            #expect(skipped.status == 0, "\(skipped)")
            #expect(skipped.stdout.contains("\"left_files\":1"), "\(skipped)")
            let refused = try await send("--conflict", "error", "-r", "own")
            #expect(refused.status == 1, "\(refused)")
            #expect(try await send("--conflict", "error", "alike.txt").status == 0)
            #expect(TreeComparison.listing("\(daemon.inbox)/own") == ["b.txt"])
            #expect(arrived("alike (2).txt") == nil)
            // What was left out has no receipt: it is not taken for delivered.
            #expect(try await send("-r", "own").status == 0)
            #expect(arrived("own (2)/inner/a.txt") == "from the server\n")
        }

        @Test("What --conflict error has sent once is no conflict the second time, and a new name is none")
        func conflictAgain() async throws {
            try write("once\n", to: "again/a.txt")
            for _ in 0..<2 {
                let result = try await send("--conflict", "error", "-r", "again")
                #expect(result.status == 0, "\(result)")
            }
            #expect(TreeComparison.listing("\(daemon.inbox)/again") == ["a.txt"])
        }

        @Test("The user's own file with the same contents is enough")
        func identical() async throws {
            try write("the same\n", to: "identical.txt")
            try writeInInbox("the same\n", to: "identical.txt")
            let result = try await send("identical.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("identical.txt") == "the same\n")
            #expect(arrived("identical (2).txt") == nil)
        }

        @Test("A folder that is not from this source stays as it is, and the send lands beside it")
        func folderConflict() async throws {
            try write("from the server\n", to: "shared/a.txt")
            try writeInInbox("the user's\n", to: "shared/b.txt")
            let result = try await send("-r", "shared")
            #expect(result.status == 0, "\(result)")
            #expect(TreeComparison.listing("\(daemon.inbox)/shared") == ["b.txt"])
            #expect(arrived("shared (2)/a.txt") == "from the server\n")
        }

        @Test("A file that was delivered before is replaced by its new contents")
        func update() async throws {
            try write("first\n", to: "log.txt")
            #expect(try await send("log.txt").status == 0)
            try write("second\n", to: "log.txt")
            let result = try await send("log.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("log.txt") == "second\n")
            #expect(arrived("log (2).txt") == nil)
        }

        @Test("So it is in a folder below the inbox")
        func replacedBelowDestination() async throws {
            try write("first\n", to: "below.txt")
            #expect(try await send("below.txt", "-o", "monday/").status == 0)
            try write("second\n", to: "below.txt")
            #expect(try await send("below.txt", "-o", "monday/").status == 0)
            #expect(arrived("monday/below.txt") == "second\n")
            #expect(arrived("monday/below (2).txt") == nil)
        }

        @Test("A delivered file that the user edited since is kept, and the new one lands beside it")
        func edited() async throws {
            try write("first\n", to: "notes.txt")
            #expect(try await send("notes.txt").status == 0)
            try writeInInbox("first, and my remarks\n", to: "notes.txt")
            try write("second\n", to: "notes.txt")
            let result = try await send("notes.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("notes.txt") == "first, and my remarks\n")
            #expect(arrived("notes (2).txt") == "second\n")
        }

        @Test("A folder sent again is merged: changed and new files arrive, the user's and the old ones stay")
        func merge() async throws {
            for name in ["same", "changed", "gone", "moved"] {
                try write("\(name)\n", to: "merged/\(name).txt")
            }
            #expect(try await send("-r", "merged").status == 0)
            try writeInInbox("the user's\n", to: "merged/mine.txt")
            try write("changed since\n", to: "merged/changed.txt")
            try write("new\n", to: "merged/inner/new.txt")
            try FileManager.default.removeItem(atPath: "\(source.path)/merged/gone.txt")
            try FileManager.default.moveItem(
                atPath: "\(source.path)/merged/moved.txt",
                toPath: "\(source.path)/merged/inner/moved.txt"
            )
            let result = try await send("-r", "merged")
            #expect(result.status == 0, "\(result)")
            #expect(
                TreeComparison.listing("\(daemon.inbox)/merged") == [
                    "changed.txt", "gone.txt", "inner", "inner/moved.txt", "inner/new.txt", "mine.txt", "moved.txt",
                    "same.txt",
                ]
            )
            #expect(arrived("merged/changed.txt") == "changed since\n")
            #expect(arrived("merged/inner/new.txt") == "new\n")
            #expect(arrived("merged/mine.txt") == "the user's\n")
        }

        @Test(
            "In a folder that is merged a delivered file that the user edited since is kept, with the new one beside it"
        )
        func editedBelow() async throws {
            try write("first\n", to: "below/inner/notes.txt")
            #expect(try await send("-r", "below").status == 0)
            try writeInInbox("first, and my remarks\n", to: "below/inner/notes.txt")
            try write("second\n", to: "below/inner/notes.txt")
            let result = try await send("-r", "below")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("below/inner/notes.txt") == "first, and my remarks\n")
            #expect(arrived("below/inner/notes (2).txt") == "second\n")
        }

        @Test("The same tree again changes nothing and doubles nothing")
        func unchanged() async throws {
            var maker = TreeMaker(seed: 7)
            try maker.makeTree(at: "\(source.path)/unchanged", files: 200)
            #expect(try await send("-r", "unchanged").status == 0)
            let before = TreeComparison.listing(daemon.inbox)
            let result = try await send("-r", "unchanged")
            #expect(result.status == 0, "\(result)")
            #expect(TreeComparison.listing(daemon.inbox) == before)
            let differences = try await TreeComparison.differences(
                "\(source.path)/unchanged",
                "\(daemon.inbox)/unchanged"
            )
            #expect(differences == [])
        }

        @Test("A send that the user interrupts leaves nothing under its name, and ends with 130")
        func interrupted() async throws {
            let parts = daemon.inbox
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "-", "--name", "interrupted.bin"],
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytesWithoutEnd(SendAgainTests.megabytes(9))
            )
            try await process.wait(until: "data arrive") {
                let entries = FileManager.default.subpaths(atPath: parts) ?? []
                return entries.contains { $0.hasPrefix(".rtun") && $0.contains("/") }
            }
            process.signal(SIGINT)
            let result = await process.wait(timeout: .seconds(20))
            #expect(result.status == 130, "\(result)")
            #expect(!FileManager.default.fileExists(atPath: daemon.inbox + "/interrupted.bin"))
            #expect(try await daemon.rtun("ping").status == 0)
        }

        private static func megabytes(_ count: Int) -> [UInt8] {
            var generator = SeededGenerator(seed: 9)
            return generator.bytes(count << 20)
        }
    }
}
