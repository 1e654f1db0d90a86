// SPDX-License-Identifier: MIT

import Foundation
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Standard input, which cannot be read twice, over links that break.
    ///
    /// With a daemon of its own: a supervisor gives up after five deaths in a minute.
    @Suite("Standard input over a broken link", .daemon)
    struct StandardInputTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("stdin")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        /// Sends bytes through a pipe, and ends the daemon three times meanwhile.
        private func sendThroughDeaths(_ bytes: [UInt8], as name: String, deaths: Int = 3) async throws -> RunResult {
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "--json", "--bwlimit", "24M", "-", "--name", name],
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytes(bytes)
            )
            for death in 1...deaths {
                try await daemon.waitForJournal(process)
                #expect(kill(try daemon.worker(), SIGKILL) == 0)
                try await process.wait(until: "it goes on") {
                    process.standardError.components(separatedBy: "the tunnel is back").count == death + 1
                }
            }
            return await process.wait()
        }

        @Test("Standard input goes on by itself when the daemon dies, again and again, and little travels twice")
        func streamSurvivesDeaths() async throws {
            var generator = SeededGenerator(seed: 41)
            let bytes = generator.bytes(96 << 20)
            let result = try await sendThroughDeaths(bytes, as: "piped.bin")
            #expect(result.status == 0, "\(result)")
            #expect(!result.stderr.contains("cannot be sent again"), "\(result)")
            let arrived = FileManager.default.contents(atPath: daemon.inbox + "/piped.bin")
            #expect(arrived.map { [UInt8]($0) } == bytes)
            #expect(daemon.journals.isEmpty, "staging was left behind")
            // The spool had its name for a moment only.
            let kept = try FileManager.default.contentsOfDirectory(atPath: daemon.server + "/.rtun/sends")
            #expect(!kept.contains { $0.contains("spool") })
        }

        #if os(Linux)
        @Test("What is kept of standard input stays below 64 MiB, and nobody else may read it")
        func boundedSpool() async throws {
            var generator = SeededGenerator(seed: 42)
            let process = try ChildProcess(
                BuiltBinary.path(),
                ["send", "-", "--name", "bounded.bin"],
                environment: daemon.serverEnvironment,
                folder: source.path,
                input: .bytes(generator.bytes(160 << 20))
            )
            let descriptors = "/proc/\(process.identifier)/fd"
            let most = Mutex((size: 0, mode: UInt32(0)))
            try await process.wait(until: "it ends", timeout: .seconds(60)) {
                for number in (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? [] {
                    let path = descriptors + "/" + number
                    guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
                        target.contains("-spool-")
                    else { continue }
                    var status = stat()
                    guard stat(path, &status) == 0 else { continue }
                    most.withLock { $0 = (max($0.size, Int(status.st_size)), status.st_mode & 0o777) }
                }
                return FileManager.default.fileExists(atPath: daemon.inbox + "/bounded.bin")
            }
            #expect(await process.wait().status == 0)
            let seen = most.withLock { $0 }
            #expect(seen.size > 1 << 20, "the spool was not seen")
            #expect(seen.size <= 64 << 20)
            #expect(seen.mode == 0o600)
        }
        #endif

        @Test("Where nothing can be kept, standard input is sent with one warning")
        func streamWithoutSpool() async throws {
            let home = ScratchFolder("unkept")
            try TreeMaker.write("in the way", to: home.path + "/sends")
            var environment = daemon.serverEnvironment
            environment["RTUN_DIR"] = home.path
            let result = try await BuiltBinary.run(
                ["send", "-s", daemon.socket, "-", "--name", "unkept.bin"],
                environment: environment,
                folder: source.path,
                input: .bytes([UInt8](repeating: 5, count: 9 << 20))
            )
            #expect(result.status == 0, "\(result)")
            #expect(result.stderr.components(separatedBy: "cannot be sent again").count == 2, "\(result)")
            #expect(FileManager.default.contents(atPath: daemon.inbox + "/unkept.bin")?.count == 9 << 20)
        }
    }
}
