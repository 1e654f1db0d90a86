// SPDX-License-Identifier: MIT

import Codecs

/// Where the records of a receipt book stand, by path, by chunk and by transfer.
struct ReceiptIndex: Sendable {
    private(set) var paths = RecordTable()
    private(set) var chunks = RecordTable()
    /// Offsets by the transfer's id.
    private(set) var finished: [UInt64: Int64] = [:]

    mutating func add(_ record: ReceiptRecord, at offset: Int64) {
        switch record {
        case .receipt(let path, let receipt): add(path, receipt, at: offset)
        case .finished(let transfer): finished[transfer.transfer] = offset
        }
    }

    mutating func add(_ path: String, _ receipt: Receipt, at offset: Int64) {
        paths.add(RecordTable.key(of: path), at: offset)
        for case .chunk(_, let digest) in receipt.items { chunks.add(RecordTable.key(of: digest), at: offset) }
    }

    mutating func add(_ other: ReceiptIndex) {
        paths.add(other.paths)
        chunks.add(other.chunks)
        finished.merge(other.finished) { _, later in later }
    }

    mutating func settle() {
        paths.settle()
        chunks.settle()
    }
}
