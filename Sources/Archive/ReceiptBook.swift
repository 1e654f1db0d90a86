// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors
private import Synchronization
private import SystemPackage

/// What one source has delivered to this inbox (`docs/archive-format.md` section 9).
///
/// Shared by all transfers of the source, and safe to use from several threads. Receipts stay in the file and are read
/// again when they are asked for; memory holds 16 bytes for each of them and for each of their chunks.
package final class ReceiptBook: Sendable {
    /// Name of the folder in the inbox that holds all books.
    package static let folderName = ".rtun-receipts"
    static let log = CheckedLog(magic: "RTUNRCPT", version: 1)
    /// Finished transfers that are kept when a book is written anew, the latest ones.
    private static let finishedKept = 1_024
    /// Receipts that are kept decoded, for files of many chunks.
    private static let recentCapacity = 8

    /// Where a chunk stands in a delivered file.
    package struct Place: Sendable {
        package let path: String
        package let offset: Int64
        package let length: Int
    }

    private struct State: Sendable {
        var hasLoaded = false
        /// A later version's: nothing is known and nothing is written.
        var isForeign = false
        var file: RecordFile?
        var index = ReceiptIndex()
        /// Bytes of the file that were valid; appending goes on there.
        var validBytes: Int64 = 0
        var recent: [RecentReceipt] = []
        /// Times that the file was written anew, which moves everything in it.
        var generation = 0
    }

    private let state = Mutex(State())
    let folder: Directory
    let name: String

    /// The name under which a source is filed, 32 hex digits: SHA-256 of the label, a NUL and its key.
    package static func sourceName(label: String, sourceKey: [UInt8]) throws(CodecError) -> String {
        let digest = try (Array(label.utf8) + [0] + sourceKey).withSpan { (span: RawSpan) throws(CodecError) in
            try Digest(of: span)
        }
        return String(digest.description.prefix(32))
    }

    /// Names the book of a source, which need not exist; nothing is read before `load()`.
    package init(in inbox: Directory, sourceName: String) throws(StagingError) {
        name = sourceName
        do throws(SystemError) {
            folder = try inbox.openOrMakeDirectory(Self.folderName)
        } catch {
            throw StagingError(error)
        }
    }

    /// Whether anything stands in the file; cheap, and answered without reading it.
    package var hasRecords: Bool {
        ((try? folder.statusIfPresent(name))?.map(\.size) ?? 0) > Int64(Self.log.header.count)
    }

    /// Reads the file, once; until then nothing is known.
    package func load() throws(StagingError) {
        do throws(SystemError) {
            try state.withLock { (state: inout State) throws(SystemError) in
                guard !state.hasLoaded else { return }
                try load(&state)
                state.hasLoaded = true
            }
        } catch {
            throw StagingError(error)
        }
    }

    private func load(_ state: inout State) throws(SystemError) {
        state.index = ReceiptIndex()
        state.recent = []
        guard let status = try folder.statusIfPresent(name), status.kind == .file else { return }
        let file = RecordFile(try folder.openFile(name, writable: true))
        var reader = try LogReader(file, as: Self.log)
        var index = ReceiptIndex()
        try reader.readAll { (reader, offset) throws(FormatError) in
            index.add(try ReceiptRecord(from: &reader), at: offset)
        }
        index.settle()
        state.index = index
        state.file = file
        state.validBytes = reader.validBytes
        state.isForeign = reader.isForeign
    }

    // MARK: - Asking

    /// What the book says now, for a transfer that begins; it is to be loaded before.
    package var snapshot: ReceiptSnapshot {
        state.withLock { ReceiptSnapshot(book: self, end: $0.validBytes, generation: $0.generation) }
    }

    /// The receipt of a path below the inbox.
    package subscript(path: String) -> Receipt? { receipt(of: path, in: nil) }

    /// The receipt of a path, nil where it was written after the snapshot.
    func receipt(of path: String, in snapshot: ReceiptSnapshot?) -> Receipt? {
        state.withLock { state in
            for offset in state.index.paths.offsets(of: RecordTable.key(of: path)) {
                guard let found = Self.receipt(at: offset, &state), found.path.utf8.elementsEqual(path.utf8) else {
                    continue
                }
                if let snapshot, snapshot.generation == state.generation, offset >= snapshot.end { return nil }
                return found.receipt
            }
            return nil
        }
    }

    /// A delivered file that held the chunk; whether it still does is to be checked.
    package func place(of digest: Digest) -> Place? {
        state.withLock { state in
            // The latest will do: a chunk of zeros may stand in a million files.
            for offset in state.index.chunks.offsets(of: RecordTable.key(of: digest)).prefix(4) {
                guard let found = Self.receipt(at: offset, &state), let place = found.place(of: digest) else {
                    continue
                }
                return place
            }
            return nil
        }
    }

    /// What a transfer that was published before was answered with.
    package func finished(_ transfer: UInt64) -> FinishedTransfer? {
        state.withLock { state in
            guard let offset = state.index.finished[transfer] else { return nil }
            let record = state.file?.record(at: offset) { (reader) throws(FormatError) in
                try ReceiptRecord(from: &reader)
            }
            if case .finished(let finished) = record { return finished }
            return nil
        }
    }

    private static func receipt(at offset: Int64, _ state: inout State) -> RecentReceipt? {
        if let found = state.recent.first(where: { $0.offset == offset }) { return found }
        let record = state.file?.record(at: offset) { (reader) throws(FormatError) in
            try ReceiptRecord(from: &reader)
        }
        guard case .receipt(let path, let receipt) = record else { return nil }
        let found = RecentReceipt(offset: offset, path: path, receipt: receipt)
        if receipt.items.count > 1 {
            if state.recent.count >= recentCapacity { state.recent.removeFirst() }
            state.recent.append(found)
        }
        return found
    }

    // MARK: - Writing

    /// Begins to add what was published; one writer at a time.
    package func write() throws(StagingError) -> ReceiptWriter {
        try load()
        do throws(SystemError) {
            return try state.withLock { (state: inout State) throws(SystemError) in
                if state.isForeign { return ReceiptWriter(to: self, nil, at: 0) }
                let file: RecordFile
                if let held = state.file {
                    file = held
                } else {
                    try folder.createFile(name).close()
                    file = RecordFile(try folder.openFile(name, writable: true))
                    try folder.synchronize()
                    state.file = file
                }
                try file.descriptor.truncate(to: state.validBytes)
                return ReceiptWriter(to: self, file, at: state.validBytes)
            }
        } catch {
            throw StagingError(error)
        }
    }

    /// Takes over what a writer has made durable; writes the book anew where more than half of it is superseded.
    func adopt(_ added: ReceiptIndex, validBytes: Int64) throws(SystemError) {
        try state.withLock { (state: inout State) throws(SystemError) in
            state.index.add(added)
            state.index.settle()
            state.validBytes = validBytes
            let paths = state.index.paths
            guard
                paths.count - paths.distinctCount > paths.distinctCount
                    || state.index.finished.count > 2 * Self.finishedKept
            else { return }
            try rewrite(&state)
            state.generation += 1
            try load(&state)
        }
    }

    /// Writes the book without what was superseded beside the old one, syncs it, and renames it.
    private func rewrite(_ state: inout State) throws(SystemError) {
        guard let old = state.file else { return }
        let draft = name + ".new"
        if try folder.statusIfPresent(draft) != nil { try folder.removeFile(draft) }
        let file = RecordFile(try folder.createFile(draft))
        let index = state.index
        let finishedFloor = index.finished.values.sorted().suffix(Self.finishedKept).first ?? 0
        try file.write(Self.log.header, at: 0)
        var position = Int64(Self.log.header.count)
        var reader = try LogReader(old, as: Self.log)
        while let batch = try reader.next(), reader.validBytes <= state.validBytes {
            let kept = batch.records.withSpan { span in
                var kept: [UInt8] = []
                var reader = ByteReader(span)
                while !reader.isAtEnd {
                    let offset = batch.offset + Int64(span.byteCount - reader.remaining)
                    guard let record = try? ReceiptRecord(from: &reader) else { break }
                    switch record {
                    case .receipt(let path, let receipt):
                        guard index.paths.isLatest(RecordTable.key(of: path), at: offset) else { continue }
                        receipt.encode(path: path, to: &kept)
                    case .finished(let finished):
                        if offset >= finishedFloor { finished.encode(to: &kept) }
                    }
                }
                return kept
            }
            guard !kept.isEmpty else { continue }
            var bytes: [UInt8] = []
            do throws(CodecError) {
                try Self.log.encode(batch: kept, to: &bytes)
            } catch {
                // The book stays as it is.
                return try folder.removeFile(draft)
            }
            try file.write(bytes, at: position)
            position += Int64(bytes.count)
        }
        try file.descriptor.synchronize()
        try folder.rename(draft, to: name, in: folder)
        try folder.synchronize()
    }
}

/// What a source had delivered when a transfer began.
///
/// What another transfer of the source delivers meanwhile is not this one's to replace: two sends to one name at once
/// end under two names.
package struct ReceiptSnapshot: Sendable {
    package let book: ReceiptBook
    fileprivate let end: Int64
    fileprivate let generation: Int

    package subscript(path: String) -> Receipt? { book.receipt(of: path, in: self) }

    /// A delivered file that held the chunk; whether it still does is to be checked.
    func place(of digest: Digest) -> ReceiptBook.Place? { book.place(of: digest) }
}

/// A receipt that was read lately, with its chunks by digest where they are many.
private struct RecentReceipt: Sendable {
    let offset: Int64
    let path: String
    let receipt: Receipt
    private let places: [Digest: (offset: Int64, length: Int)]

    init(offset: Int64, path: String, receipt: Receipt) {
        self.offset = offset
        self.path = path
        self.receipt = receipt
        var places: [Digest: (offset: Int64, length: Int)] = [:]
        var position: Int64 = 0
        for item in receipt.items {
            if case .chunk(let length, let digest) = item { places[digest] = (position, length) }
            position += item.length
        }
        self.places = places
    }

    func place(of digest: Digest) -> ReceiptBook.Place? {
        places[digest].map { ReceiptBook.Place(path: path, offset: $0.offset, length: $0.length) }
    }
}
