// SPDX-License-Identifier: MIT

import Descriptors
import Foundation
import TestSupport
import Testing

@testable import Archive

/// Receipts that no version of this program has written: they count as nothing, and stop nobody.
struct DamagedReceiptTests {
    @Test
    func `a receipt of more bytes than a file can have ends the book before it`() throws {
        let seed = try Data(
            contentsOf: URL(fileURLWithPath: FixtureLocation.fixture("corpus/journal/receipts-overflow"))
        )
        let scratch = ScratchFolder("receipts")
        let log = CheckedLog(magic: "RTUNRCPT", version: 1)
        var file = log.header
        try log.encode(batch: Array(seed.dropFirst()), to: &file)
        try TreeMaker.write(file, to: "\(scratch.path)/\(ReceiptBook.folderName)/source")
        let book = try ReceiptBook(in: Directory.open(scratch.path), sourceName: "source")
        try book.load()
        // The path that stands in the seed.
        #expect(book["\u{4}"] == nil)
    }
}
