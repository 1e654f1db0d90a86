// SPDX-License-Identifier: MIT

import Archive
import Codecs
private import NIOCore

/// Gathers the record stream of a send: counts it, digests it, and keeps what a broken link may have swallowed.
struct ManifestWriter: ~Copyable {
    private(set) var recordCount: UInt64 = 0
    private var digester: Digester
    private var compressor: Compressor

    init() throws {
        let digester = Digester()
        let compressor = try Compressor(.stored)
        self.digester = digester
        self.compressor = compressor
    }

    mutating func add(_ records: RecordBatches) throws {
        for batch in records.batches {
            try batch.bytes.withSpan { (span: RawSpan) throws(CodecError) in try digester.update(span) }
            recordCount += UInt64(batch.recordCount)
        }
    }

    /// Messages for records that no bench has packed; the records are added.
    mutating func messages(for records: RecordBatches) throws -> [EncodedRecords] {
        try add(records)
        var messages: [EncodedRecords] = []
        for batch in records.batches {
            let message = try RecordsMessage.encode(batch.bytes, with: &compressor, codec: .stored)
            messages.append(EncodedRecords(message: message, recordCount: batch.recordCount))
        }
        return messages
    }

    mutating func finish() throws -> Digest { try digester.finish() }
}
