// SPDX-License-Identifier: MIT

@testable import Archive
@testable import Descriptors

/// Journals and receipts as an earlier run, or a broken disk, left them.
///
/// The first byte chooses: the bytes as they are, or as a batch with the digest that it needs to be read at all.
enum JournalFuzzer {
    private static let scratch = ScratchTree(named: "journal")

    static func run(_ bytes: [UInt8]) {
        var input = InputReader(bytes)
        let choice = input.byte()
        let rest = input.remainder()
        let log = choice & 2 == 0 ? Journal.log : CheckedLog(magic: "RTUNRCPT", version: 1)
        var file = rest
        if choice & 1 == 1 {
            file = log.header
            try? log.encode(batch: rest, to: &file)
        }
        scratch.write(file, to: "journal")
        if choice & 2 == 0 {
            check(Journal(in: scratch.directory), rest)
            checkOthers(rest)
        } else {
            scratch.makeFolder(ReceiptBook.folderName)
            scratch.write(file, to: "\(ReceiptBook.folderName)/source")
            guard let book = try? ReceiptBook(in: scratch.directory, sourceName: "source"), (try? book.load()) != nil
            else { return }
            rest.withSpan { span in
                var reader = ByteReader(span)
                if case .receipt(let path, let receipt) = try? ReceiptRecord(from: &reader) {
                    _ = book[path]
                    for case .chunk(_, let digest) in receipt.items { _ = book.place(of: digest) }
                }
            }
        }
    }

    /// Asks for the path that the bytes name first.
    private static func check(_ journal: Journal, _ bytes: [UInt8]) {
        bytes.withSpan { span in
            var reader = ByteReader(span)
            guard let path = try? reader.text("path", atMost: ArchiveLimits.pathBytes),
                let file = journal.file(at: path)
            else { return }
            var encoded: [UInt8] = []
            Journal.encode(path, file.identity, file.chunks, to: &encoded)
        }
    }

    /// Records of the other logs, which are read one by one.
    private static func checkOthers(_ bytes: [UInt8]) {
        bytes.withSpan { span in
            var reader = ByteReader(span)
            _ = try? PublicationHead(from: &reader)
            reader = ByteReader(span)
            _ = try? FileStretch(from: &reader)
        }
    }
}
