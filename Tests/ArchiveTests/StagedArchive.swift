// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Foundation
import TestSupport
import Testing

/// Drives index and staging the way the receiver does, on a scratch folder.
final class StagedArchive {
    let scratch: ScratchFolder
    let destination: Directory
    let staging: Staging
    var index = ArchiveIndex()
    private var digester: Digester
    private let readBack: Slab

    init(in folder: ScratchFolder = ScratchFolder("staging"), name: String = "transfer") throws {
        scratch = folder
        destination = try Directory.open(folder.path)
        staging = try Staging(in: destination, name: name)
        digester = Digester()
        readBack = try Slab(capacity: 64 << 10)
        _ = try take([header])
    }

    /// The path of something in the tree that takes shape.
    func staged(_ path: String) -> String { "\(scratch.path)/.rtun-part/transfer/tree/\(path)" }

    /// The path of something with its final name.
    func final(_ path: String) -> String { "\(scratch.path)/\(path)" }

    /// Takes one batch of records; returns which entries were refused and why.
    @discardableResult
    func take(_ records: [Record]) throws -> [String] {
        var steps: [StagingStep] = []
        for record in records {
            if let step = try index.apply(record) { steps.append(step) }
        }
        try encoded(records).withSpan { (span: RawSpan) throws(StagingError) in try staging.keep(records: span) }
        return note(try staging.perform(steps))
    }

    /// Takes the chunks of one frame, whose contents are given in order.
    @discardableResult
    func write(_ runs: [ClosedRange<UInt64>], _ contents: [[UInt8]]) throws -> [String] {
        let targets = try index.claim(runs)
        #expect(targets.map(\.length) == contents.map(\.count))
        var refusals: [Staging.Refusal] = []
        for (target, content) in zip(targets, contents) {
            let refusal = try content.withSpan { (span: RawSpan) throws(StagingError) in
                try staging.write(target, bytes: span, digester: &digester, scratch: readBack)
            }
            if let refusal { refusals.append(refusal) } else { index.complete(target) }
        }
        return note(refusals)
    }

    /// Writes the chunk of one ordinal.
    @discardableResult
    func write(_ ordinal: UInt64, _ text: String) throws -> [String] {
        try write([ordinal...ordinal], [Array(text.utf8)])
    }

    /// Makes links and folder times, syncs and publishes; returns the final names, nil for what was skipped.
    func publish(naming: @escaping @Sendable (String) -> String = { $0 }) throws -> [String?] {
        _ = note(try staging.finish(index))
        try staging.synchronize()
        var publication = Publication(
            index,
            from: staging,
            to: destination,
            book: nil,
            names: NamePlan(inbox: destination, destination: [], naming: naming)
        )
        try publication.publish()
        return publication.topLevelNames.map { $0.isEmpty ? nil : $0 }
    }

    /// Refusals by path, as they go into REJECT.
    func finish() throws -> [String] { note(try staging.finish(index)) }

    private func note(_ refusals: [Staging.Refusal]) -> [String] {
        for refusal in refusals { index.refuse(refusal.entry) }
        return refusals.map { "\(index.path(of: $0.entry)): \($0.cause)" }
    }
}

/// What lstat(2) says about a path, by plain calls.
struct PlainStatus {
    let kind: mode_t
    let mode: mode_t
    let size: Int64
    let allocated: Int64
    let links: Int
    let inode: UInt64
    let modified: Timestamp

    /// Nil where nothing has the path.
    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        kind = status.st_mode & S_IFMT
        mode = status.st_mode & 0o7777
        size = Int64(status.st_size)
        allocated = Int64(status.st_blocks) * 512
        links = Int(status.st_nlink)
        inode = UInt64(status.st_ino)
        #if canImport(Darwin)
        let time = status.st_mtimespec
        #else
        let time = status.st_mtim
        #endif
        modified = Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int32(time.tv_nsec))
    }
}

func contents(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
}

func target(ofLink path: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: path)
}

/// Names in a folder, in byte order.
func names(in path: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted {
        $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
}
