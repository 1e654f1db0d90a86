// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// Adds receipts to a book, batch by batch; they count once `finish` has made them durable.
///
/// Used by one thread. What was written without `finish` is true all the same, and is read when the book is next loaded
/// from the file, or overwritten by the next writer.
package final class ReceiptWriter {
    /// Bytes of records that make a batch.
    private static let batchBytes = 1 << 20

    private let book: ReceiptBook
    /// Nil for a book of a later version, which is left alone.
    private let file: RecordFile?
    private var position: Int64
    private var batch: [UInt8] = []
    private var added = ReceiptIndex()

    init(to book: ReceiptBook, _ file: RecordFile?, at position: Int64) {
        self.book = book
        self.file = file
        self.position = position
    }

    package func add(_ path: String, _ receipt: Receipt) throws(StagingError) {
        guard file != nil else { return }
        if position == 0 { try write(ReceiptBook.log.header) }
        added.add(path, receipt, at: recordOffset)
        receipt.encode(path: path, to: &batch)
        if batch.count >= Self.batchBytes { try flush() }
    }

    /// Adds what the sender will be told, and makes everything durable.
    package func finish(_ transfer: FinishedTransfer?) throws(StagingError) {
        guard let file else { return }
        if let transfer, transfer.isKept {
            if position == 0 { try write(ReceiptBook.log.header) }
            added.add(.finished(transfer), at: recordOffset)
            transfer.encode(to: &batch)
        }
        try flush()
        do throws(SystemError) {
            try file.descriptor.synchronize()
            try book.adopt(added, validBytes: position)
        } catch {
            throw StagingError(error)
        }
    }

    /// Where the next record will begin in the file.
    private var recordOffset: Int64 { position + Int64(CheckedLog.batchHeaderBytes + batch.count) }

    private func flush() throws(StagingError) {
        guard !batch.isEmpty else { return }
        var bytes: [UInt8] = []
        do throws(CodecError) {
            try ReceiptBook.log.encode(batch: batch, to: &bytes)
        } catch {
            throw .codec(error.description)
        }
        batch.removeAll(keepingCapacity: true)
        try write(bytes)
    }

    private func write(_ bytes: [UInt8]) throws(StagingError) {
        do throws(SystemError) {
            try file?.write(bytes, at: position)
        } catch {
            throw StagingError(error)
        }
        position += Int64(bytes.count)
    }
}
