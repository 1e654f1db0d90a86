// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing

#if os(Linux)
/// A file system of one megabyte, which root alone can make.
@Suite(.enabled("no small file system can be mounted here", { await SmallDisk.canBeMade() }))
struct FullDiskTests {
    @Test func `a full disk is told apart from a broken one`() async throws {
        let disk = try await SmallDisk()
        do {
            let archive = try StagedArchive(in: disk.folder)
            let size = 2 << 20
            let bytes = [UInt8](repeating: 7, count: size)
            try archive.take([
                file(0, "big", Int64(size)), list(0, [.chunk(length: size, digest: digest(bytes))]),
            ])
            do {
                try archive.write([0...0], [bytes])
                Issue.record("taken")
            } catch StagingError.diskFull {}
            #expect(names(in: disk.folder.path) == [".rtun-part"])
            try archive.staging.remove()
            #expect(names(in: disk.folder.path).isEmpty)
        }
        try await disk.unmount()
    }

    @Test func `a disk without room for one more entry is full`() async throws {
        let disk = try await SmallDisk(options: "size=4m,nr_inodes=12")
        do {
            let archive = try StagedArchive(in: disk.folder)
            do {
                try archive.take((0..<20).map { file($0, "f\($0)", 0) })
                Issue.record("taken")
            } catch StagingError.diskFull {}
        }
        try await disk.unmount()
    }
}

/// A tmpfs on a scratch folder.
struct SmallDisk {
    let folder = ScratchFolder("disk")

    init(options: String = "size=1m") async throws {
        let result = try await Self.run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder.path])
        guard result.status == 0 else { throw TestSupportFailure("mount: \(result)") }
    }

    func unmount() async throws {
        let result = try await Self.run("umount", [folder.path])
        guard result.status == 0 else { throw TestSupportFailure("umount: \(result)") }
    }

    static func canBeMade() async -> Bool {
        guard geteuid() == 0, let disk = try? await SmallDisk() else { return false }
        return (try? await disk.unmount()) != nil
    }

    private static func run(_ program: String, _ arguments: [String]) async throws -> RunResult {
        try await ChildProcess.run(
            "/usr/bin/env",
            [program] + arguments,
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
        )
    }
}
#endif
