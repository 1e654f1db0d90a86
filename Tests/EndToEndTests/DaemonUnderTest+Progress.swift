// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

/// What tests look at while a send is under way.
extension DaemonUnderTest {
    /// Sizes of the journals of unfinished sends: more than a header means that chunks are durable.
    var journals: [Int] {
        let parts = inbox + "/.rtun-part"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parts)) ?? []
        return names.compactMap {
            (try? FileManager.default.attributesOfItem(atPath: "\(parts)/\($0)/journal"))?[.size] as? Int
        }
    }

    func waitForJournal(_ process: TestSupport.ChildProcess) async throws {
        try await process.wait(until: "chunks are durable") { self.journals.contains { $0 > 64 } }
    }

    /// The daemon process behind the supervisor.
    func worker() throws -> Int32 {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["pgrep", "-P", "\(identifier)", "-f", "--", "--worker"]
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return try #require(Int32(text.split(separator: "\n").first ?? ""))
    }
}
