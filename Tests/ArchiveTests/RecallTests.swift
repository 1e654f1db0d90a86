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

    private var other: FilePlace { FilePlace(folder: -1, name: name("other"), mode: 0o644, modified: place.modified) }

    /// What a transfer left that had "one" of "big" durable, and nothing of "other".
    private func makeDonor() throws -> Donor {
        let staging = try Staging(in: folder, name: "source-any-1")
        _ = try staging.perform([
            .createFile(entry: 0, place: place, size: 3), .createFile(entry: 1, place: other, size: 3),
        ])
        let target = ChunkTarget(
            entry: 0,
            place: place,
            length: pieces[0].count,
            digest: digest(pieces[0]),
            role: .part(offset: 0)
        )
        var digester = try Digester()
        let scratch = try Slab(capacity: 64 << 10)
        _ = try pieces[0].withSpan { (span: RawSpan) throws(StagingError) in
            try staging.write(target, bytes: span, digester: &digester, scratch: scratch)
        }
        try staging.journal([(path: "big", targets: [target])])
        staging.letGo()
        return try #require(Donor.all(in: folder, prefix: "source-any-").first)
    }

    @Test func `what an earlier transfer left is of use as long as a file of its journal stands there`() throws {
        let donor = try makeDonor()
        #expect(donor.isUseful)
        #expect(unlink(scratch.path + "/.rtun-part/source-any-1/tree/big") == 0)
        #expect(!donor.isUseful, "nothing of the other file was durable")
    }

    @Test(arguments: [false, true])
    func `a file that was renamed is copied from what an earlier transfer staged, if that is what it was`(
        isDamaged: Bool
    ) throws {
        let donor = try makeDonor()
        if isDamaged { try TreeMaker.write("eno", to: scratch.path + "/.rtun-part/source-any-1/tree/big") }
        let staging = try Staging(in: folder, name: "source-any-2")
        let book = try ReceiptBook(in: folder, sourceName: "source")
        var recall = Recall(book: book, donors: [donor], names: NamePlan(inbox: folder, destination: []))
        let offer = Offer(
            entry: 0,
            top: 0,
            topName: name("other"),
            isTopFolder: false,
            path: "other",
            place: other,
            items: items([pieces[0]]),
            offset: 0,
            size: 3,
            isLast: true,
            firstOrdinal: 0
        )
        let slab = try Slab(capacity: 4 << 20)
        let scratch = try Slab(capacity: 64 << 10)
        var digester = try Digester()
        let answer = try recall.answer([offer], staging: staging, slab: slab, scratch: scratch, digester: &digester)
        #expect(answer.had == (isDamaged ? [] : [0...0]))
        #expect(answer.staged.count == (isDamaged ? 0 : 1), "it is journalled with the next sync")
        let copy = FileManager.default.contents(atPath: self.scratch.path + "/.rtun-part/source-any-2/tree/other")
        #expect(copy == (isDamaged ? nil : Data("one".utf8)))
    }
}
