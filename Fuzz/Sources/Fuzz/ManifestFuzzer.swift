// SPDX-License-Identifier: MIT

@testable import Archive

/// Records, and the index that checks what they say about one another.
enum ManifestFuzzer {
    static func run(_ bytes: [UInt8]) {
        var index = ArchiveIndex()
        bytes.withSpan { span in
            do throws(FormatError) {
                try Record.decodeBatch(span) { record throws(FormatError) in
                    checkOneEncoding(of: record)
                    _ = try index.apply(record)
                    if case .chunks(let chunks) = record { _ = index.offer(chunks) }
                }
            } catch {
                // Refused.
            }
        }
        for entry in index.entries.indices { precondition(!index.path(of: entry).isEmpty, "an entry without a path") }
        if index.listedChunks > 0 {
            _ = try? index.claim([0...min(index.listedChunks - 1, UInt64(ArchiveLimits.frameChunks))])
        }
    }

    private static func checkOneEncoding(of record: Record) {
        var encoded: [UInt8] = []
        record.encode(to: &encoded)
        encoded.withSpan { span in
            var reader = ByteReader(span)
            precondition((try? Record.decode(from: &reader)) == record && reader.isAtEnd, "a record is not its own")
        }
    }
}
