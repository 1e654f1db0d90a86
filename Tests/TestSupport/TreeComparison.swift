// SPDX-License-Identifier: MIT

internal import Foundation

/// Says how a folder or file that arrived differs from the one that was sent.
package enum TreeComparison {
    /// Every difference that counts, one a line; empty if all is as promised.
    ///
    /// diff (on Linux) compares contents; rsync compares contents, kinds, links, modes and times with rules that are its own; what
    /// rsync may round or does not see (nanoseconds, hard links, holes) is compared here.
    ///
    /// - Parameters:
    ///   - sent: the folder or file at the server.
    ///   - arrived: the folder or file at the laptop.
    /// - Returns: the differences.
    /// - Throws: `TestSupportFailure` when there is nothing to compare, or nothing to compare with.
    package static func differences(_ sent: String, _ arrived: String) async throws -> [String] {
        guard Entry(sent) != nil else { throw TestSupportFailure("\(sent) does not exist") }
        guard Entry(arrived) != nil else { return ["\(arrived) does not exist"] }
        var differences: [String] = []
        #if os(Linux)
        // GNU's diff can be told to leave links to rsync; one that leads nowhere is no difference.
        differences += try await lines(of: "diff", ["-r", "--no-dereference", "--", sent, arrived])
        #endif
        let isFolder = Entry(sent)?.kind == S_IFDIR
        let slash = isFolder ? "/" : ""
        differences += try await lines(
            of: "rsync",
            [
                "-rlptHn", "--checksum", "--itemize-changes", "--chmod=Du+rwx,Fu+rw,go-w", "--", sent + slash,
                arrived + slash,
            ]
        )
        return differences + attributeDifferences(sent, arrived)
    }

    /// Every file and folder below a folder, by its path relative to it, in byte order; without rtun's own.
    package static func listing(_ folder: String) -> [String] {
        (FileManager.default.subpaths(atPath: folder) ?? []).filter { !$0.hasPrefix(".rtun") }.sorted()
    }

    /// The mode under which an entry has to arrive: its owner may always write, nobody else ever, and no special bits.
    private static func promisedMode(_ entry: Entry) -> mode_t {
        entry.mode & 0o755 | (entry.kind == S_IFDIR ? 0o700 : 0o600)
    }

    /// The differences of a folder or file in kinds, sizes, modes, times, hard links and holes, without reading contents.
    package static func attributeDifferences(_ sent: String, _ arrived: String) -> [String] {
        var differences: [String] = []
        var pairs: [UInt64: Set<UInt64>] = [:]
        for path in [""] + (FileManager.default.subpaths(atPath: sent) ?? []).sorted() {
            let name = path.isEmpty ? sent : path
            let suffix = path.isEmpty ? "" : "/" + path
            guard let here = Entry(sent + suffix) else { continue }
            guard let there = Entry(arrived + suffix) else {
                differences.append("\(name): missing")
                continue
            }
            if here.kind != there.kind {
                differences.append("\(name): another kind of file")
                continue
            }
            if here.kind != S_IFLNK, there.mode != promisedMode(here) {
                differences.append("\(name): mode \(String(there.mode, radix: 8)) of \(String(here.mode, radix: 8))")
            }
            if here.seconds != there.seconds || here.nanoseconds != there.nanoseconds {
                differences.append(
                    "\(name): time \(there.seconds).\(there.nanoseconds), not \(here.seconds).\(here.nanoseconds)"
                )
            }
            if here.kind == S_IFREG {
                pairs[here.inode, default: []].insert(there.inode)
                if here.size != there.size {
                    differences.append("\(name): \(there.size) bytes, not \(here.size)")
                }
                // A file system may hold a few blocks more; a hole that was filled holds very many.
                if here.allocated < here.size / 2, there.allocated > here.allocated + 1 << 20 {
                    differences.append("\(name): no longer sparse, \(there.allocated) bytes on disk")
                }
            }
        }
        if let split = pairs.values.first(where: { $0.count > 1 }) {
            differences.append("names of one file arrived as \(split.count) files")
        }
        return differences
    }

    private static func lines(of program: String, _ arguments: [String]) async throws -> [String] {
        let result = try await ChildProcess.run(
            "/usr/bin/env",
            [program] + arguments,
            environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "LC_ALL": "C"],
            timeout: .seconds(300)
        )
        let lines = (result.stdout + result.stderr).split(separator: "\n").map { "\(program): \($0)" }
        return lines.isEmpty && result.status != 0 ? ["\(program): exit \(result.status)"] : lines
    }

    /// What lstat(2) says.
    private struct Entry {
        let kind: mode_t
        let mode: mode_t
        let size: Int64
        let allocated: Int64
        let inode: UInt64
        let seconds: Int
        let nanoseconds: Int

        init?(_ path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            kind = status.st_mode & S_IFMT
            mode = status.st_mode & 0o7777
            size = Int64(status.st_size)
            allocated = Int64(status.st_blocks) * 512
            inode = UInt64(status.st_ino)
            #if canImport(Darwin)
            seconds = status.st_mtimespec.tv_sec
            nanoseconds = status.st_mtimespec.tv_nsec
            #else
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
            #endif
        }
    }
}
