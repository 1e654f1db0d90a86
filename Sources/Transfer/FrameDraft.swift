// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import NIOCore

/// A RECORDS message.
struct EncodedRecords: Sendable {
    let message: ByteBuffer
    let recordCount: Int
}

/// A frame on its way out: packed by one job, its payload made by the same job or by a later one.
///
/// The raw bytes stand in the slab of the bench that it was packed at, the message takes shape in its output.
struct FrameDraft: Sendable {
    /// Bytes in the slab below which nobody waits for an answer with them: they are read again if they are wanted.
    private static let heldBytes = 1 << 20

    private(set) var packed: PackedFrame
    let records: [EncodedRecords]
    /// All chunks of the draft; nil where it is not made yet, or there are no bytes at all.
    private(set) var payload: FramePayload?

    /// Reads and hashes what was planned; with `makingPayload` compresses it too.
    init(_ planned: PlannedFrame, at bench: Workbench, compression: AdaptiveCompression, makingPayload: Bool) throws {
        var work = AdaptiveCompression.Work()
        let start = ProcessContext.monotonicNow
        packed = try planned.pack(into: bench.slab, digester: &bench.digester)
        let setting = compression.forRecords
        try bench.compressor.select(setting)
        records = try packed.records.batches.map {
            EncodedRecords(
                message: try RecordsMessage.encode($0.bytes, with: &bench.compressor, codec: setting.codec),
                recordCount: $0.recordCount
            )
        }
        work.seconds = ProcessContext.monotonicNow - start
        work.rawBytes = packed.rawBytes
        compression.note(work)
        if makingPayload, packed.rawBytes > 0 {
            payload = try FramePayload(
                rawBytes: packed.rawBytes,
                runCount: 1,
                at: bench,
                compression: compression
            )
        }
        if !makingPayload, packed.rawBytes < Self.heldBytes { packed.letGoOfSlab() }
    }

    /// The chunks with their ordinals, which follow one another.
    func chunks(from firstOrdinal: UInt64) -> [ChunkFetch.Wanted] {
        packed.chunks.enumerated().map { ChunkFetch.Wanted(ordinal: firstOrdinal + UInt64($0), chunk: $1) }
    }
}
