// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What arrives where.
    ///
    /// Every test has a folder of its own at the server, and names of its own in the inbox.
    @Suite("Sending", .daemon)
    struct SendTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("source")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func send(_ arguments: String..., input: ChildProcess.Input = .nothing) async throws -> RunResult {
            try await BuiltBinary.run(
                ["send"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: input
            )
        }

        private func write(_ text: String, to name: String) throws {
            try TreeMaker.write(text, to: "\(source.path)/\(name)")
        }

        private func arrived(_ name: String) -> String? {
            FileManager.default.contents(atPath: "\(daemon.inbox)/\(name)").map { String(decoding: $0, as: UTF8.self) }
        }

        @Test("A file arrives under its name, and the last line says that it is verified")
        func oneFile() async throws {
            try write("one\n", to: "one.txt")
            let result = try await send("one.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("one.txt") == "one\n")
            #expect(result.outputLines.last?.contains("verified") == true, "\(result)")
            let differences = try await TreeComparison.differences("\(source.path)/one.txt", "\(daemon.inbox)/one.txt")
            #expect(differences == [])
        }

        @Test("Every argument is a source")
        func severalFiles() async throws {
            try write("a\n", to: "several a.txt")
            try write("b\n", to: "several b.txt")
            try write("c\n", to: "several c/inside.txt")
            let result = try await send("-r", "several a.txt", "several b.txt", "several c")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("several a.txt") == "a\n")
            #expect(arrived("several b.txt") == "b\n")
            #expect(arrived("several c/inside.txt") == "c\n")
        }

        @Test(
            "A tree arrives as it was: sizes, names, links, holes, empty folders, modes and times",
            arguments: [UInt64(1), 2, 3]
        )
        func tree(_ seed: UInt64) async throws {
            var maker = TreeMaker(seed: seed)
            try maker.makeTree(at: "\(source.path)/tree \(seed)", files: 300)
            let result = try await send("-r", "tree \(seed)")
            #expect(result.status == 0, "seed \(seed): \(result)")
            let differences = try await TreeComparison.differences(
                "\(source.path)/tree \(seed)",
                "\(daemon.inbox)/tree \(seed)"
            )
            #expect(differences == [], "seed \(seed)")
        }

        @Test("A slash at the end changes nothing")
        func trailingSlash() async throws {
            try write("x\n", to: "slashed/x.txt")
            let result = try await send("-r", "slashed/")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("slashed/x.txt") == "x\n")
        }

        @Test("A dot takes the last name of the real path", arguments: [".", "./", "sub/..", "$PWD/."])
        func dot(_ argument: String) async throws {
            try write("x\n", to: "sub/x.txt")
            let result = try await send("-r", argument.replacingOccurrences(of: "$PWD", with: source.path))
            #expect(result.status == 0, "\(result)")
            let name = URL(fileURLWithPath: source.path).lastPathComponent
            #expect(arrived("\(name)/sub/x.txt") == "x\n")
        }

        @Test(
            "Every way to pack arrives the same",
            arguments: [
                ["--codecs", "zlib"], ["--compress", "none"], ["--compress", "zlib:9"], ["--compress", "zstd:19"],
                ["--channels", "0"],
            ]
        )
        func packing(_ options: [String]) async throws {
            let name = "packed " + options.joined(separator: " ")
            var maker = TreeMaker(seed: 7)
            try maker.makeTree(at: "\(source.path)/\(name)", files: 40)
            // Named by its content, each tree would be copied from the one before: this file makes it differ.
            try write(String(repeating: name, count: 100_000), to: "\(name)/text.txt")
            let result = try await BuiltBinary.run(
                ["send", "-r", "--json"] + options + [name],
                environment: daemon.serverEnvironment,
                folder: source.path
            )
            #expect(result.status == 0, "\(result)")
            #expect(try await TreeComparison.differences("\(source.path)/\(name)", "\(daemon.inbox)/\(name)") == [])
        }

        @Test("-o names a single source")
        func newName() async throws {
            try write("x\n", to: "old name.txt")
            let result = try await send("old name.txt", "-o", "new name.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("new name.txt") == "x\n")
            #expect(arrived("old name.txt") == nil)
        }

        @Test("-o with a slash at the end is a folder below the inbox")
        func destinationFolder() async throws {
            try write("x\n", to: "filed.txt")
            let result = try await send("filed.txt", "-o", "runs/today/")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("runs/today/filed.txt") == "x\n")
        }

        @Test("-o with several sources is a folder below the inbox")
        func destinationOfSeveral() async throws {
            try write("a\n", to: "filed a.txt")
            try write("b\n", to: "filed b.txt")
            let result = try await send("filed a.txt", "filed b.txt", "-o", "both")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("both/filed a.txt") == "a\n")
            #expect(arrived("both/filed b.txt") == "b\n")
        }

        @Test("-o cannot lead out of the inbox", arguments: ["../out.txt", "$OUT/out.txt", "a/../../out.txt"])
        func destinationOutside(_ destination: String) async throws {
            try write("x\n", to: "inside.txt")
            let outside = daemon.laptop
            let result = try await send(
                "inside.txt",
                "-o",
                destination.replacingOccurrences(of: "$OUT", with: outside)
            )
            #expect(result.status != 0, "\(result)")
            #expect(!FileManager.default.fileExists(atPath: outside + "/out.txt"))
        }

        @Test("Standard input needs a name, and arrives whole", arguments: [0, 1, 5 << 20])
        func standardInput(_ size: Int) async throws {
            var generator = SeededGenerator(seed: UInt64(size))
            let bytes = generator.bytes(size)
            let result = try await send("-", "--name", "stdin \(size).bin", input: .bytes(bytes))
            #expect(result.status == 0, "\(result)")
            let arrived = FileManager.default.contents(atPath: "\(daemon.inbox)/stdin \(size).bin")
            #expect(arrived.map { [UInt8]($0) } == bytes)
        }

        @Test("Of two sources of one name, the second becomes name (2), and that is said")
        func sameName() async throws {
            try write("a\n", to: "a/twice.txt")
            try write("b\n", to: "b/twice.txt")
            let result = try await send("a/twice.txt", "b/twice.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("twice.txt") == "a\n")
            #expect(arrived("twice (2).txt") == "b\n")
            #expect(result.stderr.contains("twice (2).txt"), "\(result)")
        }

        @Test("-n says what would be sent, and sends nothing")
        func dryRun() async throws {
            try write("x\n", to: "dry/x.txt")
            let result = try await send("-n", "-r", "dry")
            #expect(result.status == 0, "\(result)")
            #expect((result.stdout + result.stderr).contains("dry"), "\(result)")
            #expect(!FileManager.default.fileExists(atPath: daemon.inbox + "/dry"))
        }

        @Test("-q says nothing when all is well")
        func quiet() async throws {
            try write("x\n", to: "quiet.txt")
            let result = try await send("-q", "quiet.txt")
            #expect(result.status == 0, "\(result)")
            #expect(arrived("quiet.txt") == "x\n")
            #expect(result.output.isEmpty && result.errors.isEmpty, "\(result)")
        }

        @Test("--json is one object a line, the summary last")
        func json() async throws {
            try write("x\n", to: "json.txt")
            let result = try await send("--json", "json.txt")
            #expect(result.status == 0, "\(result)")
            let kinds = try result.outputLines.map { line in
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
                return try #require((object as? [String: Any])?["message_type"] as? String)
            }
            #expect(Set(kinds).isSubset(of: ["status", "error", "summary"]), "\(result)")
            #expect(kinds.last == "summary")
            #expect(kinds.filter { $0 == "summary" }.count == 1)
        }
    }
}
