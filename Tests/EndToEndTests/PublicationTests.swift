// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

private let canTrace = ["strace", "python3"].allSatisfy { name in
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
    }
}

extension EndToEnd {
    /// The programs in `Tests/Hostile` that watch the daemon publish through strace.
    @Suite("Publishing", .enabled(if: canTrace, "no strace or no python3"))
    struct PublicationTests {
        private func run(_ program: String, _ arguments: String...) async throws {
            let script = "\(FixtureLocation.project)/Tests/Hostile/\(program)"
            let result = try await ChildProcess.run(
                "/usr/bin/env",
                ["python3", script, BuiltBinary.path()] + arguments,
                environment: ProcessInfo.processInfo.environment,
                timeout: .seconds(180)
            )
            #expect(result.status == 0, "\(result)")
        }

        @Test("A daemon killed anywhere while it publishes or recovers leaves all of the old tree or all of the new")
        func kills() async throws {
            try await run("publication.py", "--quick")
        }

        @Test(
            "A delivered file that the user edits just before it is replaced keeps the edit, with the new one beside it"
        )
        func edited() async throws {
            try await run("publication.py", "--edited")
        }

        @Test("Nothing is acknowledged, renamed or answered before what it counts on is synced")
        func order() async throws {
            try await run("order.py")
        }
    }
}
