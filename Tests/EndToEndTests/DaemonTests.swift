// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A running daemon, asked in the simplest ways.
    @Suite("With a daemon", .daemon)
    struct DaemonTests {
        private let daemon: DaemonUnderTest

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        @Test("ping says exactly OK PONG first")
        func ping() async throws {
            let result = try await daemon.rtun("ping")
            #expect(result.status == 0, "\(result)")
            #expect(result.stdout == "OK PONG\n")
            #expect(result.errors.isEmpty, "\(result)")
        }

        @Test("ping -v tells more, after the same first line")
        func pingVerbose() async throws {
            let result = try await daemon.rtun("ping", "-v")
            #expect(result.status == 0, "\(result)")
            #expect(result.stdout.hasPrefix("OK PONG\n"))
            #expect(result.outputLines.count > 2, "\(result)")
        }

        @Test("The socket and its folder are the user's alone")
        func permissions() throws {
            let files = FileManager.default
            let socket = try files.attributesOfItem(atPath: daemon.socket)
            let folder = try files.attributesOfItem(atPath: daemon.laptop + "/.rtun")
            #expect(socket[.posixPermissions] as? Int == 0o600)
            #expect(folder[.posixPermissions] as? Int == 0o700)
        }

        @Test("A second daemon says that one already runs, and leaves it alone")
        func startedTwice() async throws {
            let second = try await BuiltBinary.run(
                ["server", "-D", daemon.inbox],
                environment: DaemonUnderTest.environment(home: daemon.laptop),
                timeout: .seconds(20)
            )
            #expect(second.status != 0, "\(second)")
            #expect(!second.timedOut)
            #expect(second.stderr.contains("already"), "\(second)")
            #expect(try await daemon.rtun("ping").status == 0)
        }

        @Test("A source that does not exist is named, and nothing is sent")
        func missingSource() async throws {
            try TreeMaker.write("text\n", to: daemon.server + "/there.txt")
            let result = try await daemon.rtun("send", "no such file.txt", "there.txt")
            #expect(![0, 3].contains(result.status), "\(result)")
            #expect(result.stderr.contains("no such file.txt"), "\(result)")
        }

        @Test("A last argument that does not exist may be meant as the destination: -o is named")
        func formerDestination() async throws {
            try TreeMaker.write("text\n", to: daemon.server + "/former.txt")
            let result = try await daemon.rtun("send", "former.txt", "new name.txt")
            #expect(result.status != 0, "\(result)")
            #expect(result.stderr.contains("-o"), "\(result)")
            #expect(!TreeComparison.listing(daemon.inbox).contains("former.txt"))
        }

        @Test("A folder without -r is an error that says so")
        func folderWithoutRecursion() async throws {
            try TreeMaker.write("text\n", to: daemon.server + "/plots/a.txt")
            let result = try await daemon.rtun("send", "plots")
            #expect(![0, 3].contains(result.status), "\(result)")
            #expect(result.stderr.contains("-r"), "\(result)")
            #expect(!TreeComparison.listing(daemon.inbox).contains("plots"))
        }
    }
}
