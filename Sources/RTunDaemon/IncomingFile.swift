// SPDX-License-Identifier: MIT

import Archive
import Codecs
private import Descriptors
import NIOCore
import Transfer

/// One file of the line protocol on its way into staging: an archive of a single entry that the daemon writes itself.
///
/// So what arrives by SEND or VIEW passes the same checks, read-back, sync and publication as every other file.
// One job of the workshop has it at a time, and the task that runs them waits for each: that orders their accesses.
final class IncomingFile: @unchecked Sendable {
    /// Bytes of one chunk: what a connection of the line protocol may keep in memory.
    private static let chunkBytes = 1 << 20
    /// Bytes written until they are synced: the last sync must not outlast a client's patience of 120 s.
    private static let syncBytes = 64 << 20

    let size: Int64
    private(set) var receivedBytes: Int64 = 0
    private(set) var index = ArchiveIndex()
    let staging: Staging
    /// Closed by who has the file.
    let space: SpaceLedger.Reservation
    private let slab: Slab
    private let scratch: Slab
    private var whole: Digester
    private var chunk: Digester
    private var filled = 0
    private var unsynced = 0

    /// Makes the staging folder, and sets aside what was announced; throws `Abort` where that is not to be had.
    init(
        _ transfer: OriginalTransfer,
        in inbox: Inbox,
        _ openSpace: (String) throws -> SpaceLedger.Reservation
    ) throws {
        size = transfer.size
        slab = try Slab(capacity: Int(min(max(transfer.size, 1), Int64(Self.chunkBytes))))
        scratch = try Slab(capacity: 256 << 10)
        whole = Digester()
        chunk = Digester()
        let name = TransferID.random().description
        staging = try Staging(in: inbox.directory, name: name)
        do {
            space = try openSpace(name)
        } catch {
            try staging.remove()
            throw error
        }
        do {
            try space.reserve(UInt64(transfer.size))
            try apply(.header(ContentChunker.Parameters.standard))
            try apply(
                .entry(
                    EntryRecord(
                        number: 0,
                        parent: nil,
                        name: transfer.name,
                        mode: 0o600,
                        modified: .now(),
                        content: .file(size: transfer.size)
                    )
                )
            )
        } catch {
            space.close(staysOnDisk: false)
            try staging.remove()
            throw error
        }
    }

    /// Bytes that may be given to `take` now.
    var room: Int { Int(min(Int64(slab.capacity - filled), size - receivedBytes)) }

    /// True where `write` is due.
    var isChunkComplete: Bool { filled > 0 && (filled == slab.capacity || receivedBytes == size) }

    /// Takes bytes as they came, at most `room`.
    func take(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        slab.withMutableBytes(filled..<(filled + count)) { (span: inout MutableRawSpan) in
            unsafe span.withUnsafeMutableBytes { unsafe $0.copyBytes(from: bytes.readableBytesView) }
        }
        filled += count
        receivedBytes += Int64(count)
    }

    /// Writes the bytes taken, and reads them back.
    func write() throws {
        let count = filled
        filled = 0
        let digest = try slab.withBytes(0..<count) { (bytes: RawSpan) throws(CodecError) in
            try whole.update(bytes)
            return try chunk.digest(bytes)
        }
        try apply(
            .chunks(
                ChunksRecord(
                    entry: 0,
                    isLast: receivedBytes == size,
                    items: [.chunk(length: count, digest: digest)]
                )
            )
        )
        let ordinal = index.listedChunks - 1
        for target in try index.claim([ordinal...ordinal]) {
            let refusal = try slab.withBytes(0..<count) { (bytes: RawSpan) throws(StagingError) in
                try staging.write(target, bytes: bytes, digester: &chunk, scratch: scratch)
            }
            if let refusal { throw Refused(cause: refusal.cause) }
            index.complete(target)
            space.noteWritten(UInt64(count))
        }
        unsynced += count
        if unsynced >= Self.syncBytes {
            try staging.synchronize()
            unsynced = 0
        }
    }

    /// Digest of all that was written, once; everything is durable in staging then.
    func finish() throws -> Digest {
        let digest = try whole.finish()
        try staging.synchronize()
        return digest
    }

    /// The file system does not take the name.
    struct Refused: Error {
        let cause: RejectCause
    }

    private func apply(_ record: Record) throws {
        guard let step = try index.apply(record) else { return }
        if let refusal = try staging.perform([step]).first { throw Refused(cause: refusal.cause) }
    }
}
