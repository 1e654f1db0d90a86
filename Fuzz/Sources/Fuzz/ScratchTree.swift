// SPDX-License-Identifier: MIT

import Foundation

@testable import Descriptors

/// A folder for one fuzzer: in memory where there is such a place, and gone when the process ends well.
final class ScratchTree: Sendable {
    let path: String
    let directory: Directory

    init(named name: String) {
        let base = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = "\(base)/rtun-fuzz-\(name)-\(getpid())"
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            directory = try Directory.open(path)
        } catch {
            fatalError("no scratch folder: \(error)")
        }
        let doomed = path
        // libFuzzer leaves by exit, which runs this.
        Self.toRemove = doomed
        atexit {
            if let path = ScratchTree.toRemove { try? FileManager.default.removeItem(atPath: path) }
        }
    }

    /// One tree a process: written before libFuzzer's loop begins.
    nonisolated(unsafe) private static var toRemove: String?

    func write(_ bytes: [UInt8], to name: String) {
        guard FileManager.default.createFile(atPath: "\(path)/\(name)", contents: Data(bytes)) else {
            fatalError("\(name) cannot be written")
        }
    }

    func makeFolder(_ name: String) {
        try? FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
    }
}
