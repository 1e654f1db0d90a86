// SPDX-License-Identifier: MIT

import Codecs
import Descriptors
import Foundation
import TestSupport
import Testing

@testable import Archive

/// What was promised of a delivered file that somebody edits before the promise is kept.
struct RecallTests {
    private let scratch = ScratchFolder("recall")
    private let folder: Directory
    private let pieces = ["one", "two", "three"].map { Array($0.utf8) }
    private let place: FilePlace

    init() throws {
        folder = try Directory.open(scratch.path)
        place = FilePlace(
            folder: -1,
            name: name("big"),
            mode: 0o644,
            modified: Timestamp(seconds: 1_000, nanoseconds: 0)
        )
    }

    private func items(_ pieces: [[UInt8]]) -> [ChunksRecord.Item] {
        pieces.map { .chunk(length: $0.count, digest: digest($0)) }
    }

    private func offer(_ items: [ChunksRecord.Item], offset: Int64, isLast: Bool, first: UInt64) -> Offer {
        Offer(
            entry: 0,
            top: 0,
            topName: name("big"),
            isTopFolder: false,
            path: "big",
            place: place,
            items: items,
            offset: offset,
            size: 11,
            isLast: isLast,
            firstOrdinal: first
        )
    }

    /// Promises two chunks of a delivered file, and then hears that the list goes on otherwise.
    private func disagree(meanwhile: () throws -> Void) throws -> Recall.Answer {
        try TreeMaker.write(pieces.flatMap { $0 }, to: scratch.path + "/big")
        let book = try ReceiptBook(in: folder, sourceName: "source")
        try book.load()
        let writer = try book.write()
        let identity = FileIdentity(try folder.status("big"))
        try writer.add("big", Receipt(kind: .file, identity: identity, mode: 0o644, items: items(pieces)))
        try writer.finish(nil)
        let staging = try Staging(in: folder, name: "transfer")
        _ = try staging.perform([.createFile(entry: 0, place: place, size: 11)])
        var recall = Recall(book: book, donors: [], names: NamePlan(inbox: folder, destination: []))
        let slab = try Slab(capacity: 4 << 20)
        let scratch = try Slab(capacity: 64 << 10)
        var digester = Digester()
        let promised = try recall.answer(
            [offer(items(Array(pieces.prefix(2))), offset: 0, isLast: false, first: 0)],
            staging: staging,
            slab: slab,
            scratch: scratch,
            digester: &digester
        )
        #expect(promised.had == [0...1])
        try meanwhile()
        return try recall.answer(
            [offer(items([Array("other".utf8)]), offset: 6, isLast: true, first: 2)],
            staging: staging,
            slab: slab,
            scratch: scratch,
            digester: &digester
        )
    }

    @Test func `where the list goes on otherwise, what was promised is copied`() throws {
        #expect(try disagree {}.had.isEmpty)
        let staged = try #require(
            FileManager.default.subpaths(atPath: scratch.path)?.first { $0.hasSuffix("tree/big") }
        )
        let contents = try #require(FileManager.default.contents(atPath: "\(scratch.path)/\(staged)"))
        #expect(contents.prefix(6) == Data("onetwo".utf8))
    }

    @Test func `a file that was edited meanwhile lets the transfer begin anew, and is no fault of the disk`() throws {
        do {
            _ = try disagree { try TreeMaker.write("edited by hand", to: scratch.path + "/big") }
            Issue.record("nothing was noticed")
        } catch StagingError.changedMeanwhile(let path) {
            #expect(path == "big")
        }
    }
}
