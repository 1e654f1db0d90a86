// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

/// The golden files are what the script makes of the two documents, not what this code once wrote.
struct FixtureTests {
    private static let hasPython = ["/usr/bin/python3", "/usr/local/bin/python3", "/opt/homebrew/bin/python3"]
        .contains { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(
        .enabled(if: hasPython, "no python3"),
        arguments: [
            "archive/records.txt", "archive/manifest.txt", "archive/frames.txt", "archive/home.txt",
            "protocol/messages.txt", "protocol/payloads.txt", "protocol/greetings.txt", "protocol/dialogues.txt",
            "protocol/original-probe.txt",
        ]
    )
    func `the script prints the golden files`(_ name: String) async throws {
        let stored = try String(contentsOfFile: FixtureLocation.fixture(name), encoding: .utf8)
        let result = try await ChildProcess.run(
            "/usr/bin/env",
            ["python3", FixtureLocation.script("make-fixtures"), "--print", name],
            environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
        )
        #expect(result.status == 0, "\(result)")
        #expect(result.stdout == stored)
        #expect(!stored.isEmpty)
    }
}
