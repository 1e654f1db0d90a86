// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors
private import SystemPackage

/// What one source has delivered to this inbox (`docs/archive-format.md` section 9).
///
/// A value: loaded when a transfer begins, appended to when it has been published.
package struct ReceiptBook: Sendable {
    /// Name of the folder in the inbox that holds all books.
    package static let folderName = ".rtun-receipts"
    private static let magic = Array("RTUNRCPT".utf8)
    private static let version: UInt32 = 1
    /// Bytes of a book that is still read; beyond it nothing is known.
    private static let sizeLimit = 512 << 20
    /// Records of one batch.
    private static let batchBytes = 1 << 20

    /// One delivered name.
    package struct Receipt: Sendable, Hashable {
        package let kind: EntryRecord.Kind
        /// The identity after publishing.
        package let inode: UInt64
        package let size: Int64
        package let modified: Timestamp
        package let changed: Timestamp
        /// As the sender said it.
        package let mode: UInt32
        package let items: [ChunksRecord.Item]

        package init(kind: EntryRecord.Kind, status: FileStatus, mode: UInt32, items: [ChunksRecord.Item]) {
            self.init(
                kind: kind,
                inode: status.inode,
                size: status.size,
                modified: status.modified,
                changed: status.changed,
                mode: mode,
                items: items
            )
        }

        fileprivate init(
            kind: EntryRecord.Kind,
            inode: UInt64,
            size: Int64,
            modified: Timestamp,
            changed: Timestamp,
            mode: UInt32,
            items: [ChunksRecord.Item]
        ) {
            self.kind = kind
            self.inode = inode
            self.size = size
            self.modified = modified
            self.changed = changed
            self.mode = mode
            self.items = items
        }

        /// True where nobody has touched the name since it was delivered.
        ///
        /// The change time also moves when rtun itself renames or links the file.
        package func isOf(_ status: FileStatus, ignoringChangeTime: Bool = false) -> Bool {
            switch (kind, status.kind) {
            case (.folder, .directory): inode == status.inode
            case (.file, .file), (.symlink, .symlink):
                inode == status.inode && size == status.size && modified == status.modified
                    && (ignoringChangeTime || changed == status.changed)
            default: false
            }
        }
    }

    /// Where a chunk stands in a delivered file.
    package struct Place: Sendable {
        package let path: String
        package let offset: Int64
        package let length: Int
    }

    private var receipts: [String: Receipt] = [:]
    private var chunks: [Digest: Place] = [:]
    private let folder: Directory
    private let name: String
    /// Bytes of the file that were valid; appending goes on there.
    private var validBytes: Int64 = 0
    private var isForeign = false
    private var supersededCount = 0

    package var isEmpty: Bool { receipts.isEmpty }

    /// Opens the book of a source, which need not exist.
    package init(in inbox: Directory, label: String, sourceKey: [UInt8]) throws(StagingError) {
        let digest: Digest
        do throws(CodecError) {
            digest = try (Array(label.utf8) + [0] + sourceKey).withSpan { (span: RawSpan) throws(CodecError) in
                try Digest(of: span)
            }
        } catch {
            throw .codec(error.description)
        }
        name = String(digest.description.prefix(32))
        do throws(SystemError) {
            folder = try inbox.openOrMakeDirectory(Self.folderName)
            try load()
        } catch {
            throw StagingError(error)
        }
    }

    package subscript(path: String) -> Receipt? { receipts[path] }

    /// A delivered file that held the chunk; whether it still does is to be checked.
    package func place(of digest: Digest) -> Place? { chunks[digest] }

    // MARK: - Writing

    /// Adds what was published and makes it durable.
    package mutating func append(_ added: [(path: String, receipt: Receipt)]) throws(StagingError) {
        guard !isForeign, !added.isEmpty else { return }
        for (path, receipt) in added { note(path, receipt) }
        do throws(SystemError) {
            if supersededCount > receipts.count {
                try rewrite()
            } else {
                try extend(added)
            }
        } catch {
            throw StagingError(error)
        }
    }

    private mutating func extend(_ added: [(path: String, receipt: Receipt)]) throws(SystemError) {
        if validBytes == 0, try folder.statusIfPresent(name) == nil {
            try folder.createFile(name).close()
        }
        let file = try folder.openFile(name, writable: true)
        var bytes: [UInt8] = []
        if validBytes == 0 { bytes = Self.header }
        Self.encode(added, to: &bytes)
        try file.truncate(to: validBytes)
        try Self.write(bytes, to: file, at: validBytes)
        try file.synchronize()
        validBytes += Int64(bytes.count)
        try file.close()
        try folder.synchronize()
    }

    /// Writes the book anew, without what was superseded, beside the old one, and renames it.
    private mutating func rewrite() throws(SystemError) {
        let draft = name + ".new"
        if try folder.statusIfPresent(draft) != nil { try folder.removeFile(draft) }
        let file = try folder.createFile(draft)
        var bytes = Self.header
        Self.encode(receipts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, to: &bytes)
        try Self.write(bytes, to: file, at: 0)
        try file.synchronize()
        try file.close()
        try folder.rename(draft, to: name, in: folder)
        try folder.synchronize()
        validBytes = Int64(bytes.count)
        supersededCount = 0
    }

    private static var header: [UInt8] {
        var bytes = magic
        bytes.append(u32: version)
        return bytes
    }

    private static func write(
        _ bytes: [UInt8],
        to file: borrowing OwnedDescriptor,
        at offset: Int64
    ) throws(SystemError) {
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span, at: offset) }
    }

    private static func encode(_ added: [(path: String, receipt: Receipt)], to output: inout [UInt8]) {
        var batch: [UInt8] = []
        for (position, entry) in added.enumerated() {
            entry.receipt.encode(path: entry.path, to: &batch)
            guard batch.count >= batchBytes || position == added.count - 1 else { continue }
            // A digest that cannot be computed leaves a batch that no reader takes.
            let digest = batch.withSpan { try? Digest(of: $0) }
            output.append(u32: UInt32(batch.count))
            if let digest { output.append(digest: digest) }
            output.append(contentsOf: batch)
            batch = []
        }
    }

    // MARK: - Reading

    private mutating func load() throws(SystemError) {
        guard let status = try folder.statusIfPresent(name), status.kind == .file, status.size > 0 else { return }
        guard status.size <= Int64(Self.sizeLimit), let bytes = try folder.readSmallFile(name, atMost: Self.sizeLimit)
        else {
            isForeign = true
            return
        }
        bytes.withSpan { parse($0) }
    }

    private mutating func parse(_ span: RawSpan) {
        var reader = ByteReader(span)
        guard (try? reader.take(Self.magic.count).copy) == Self.magic, let found = try? reader.u32() else { return }
        guard found == Self.version else {
            isForeign = true
            return
        }
        while !reader.isAtEnd {
            validBytes = Int64(span.byteCount - reader.remaining)
            guard let length = try? reader.u32(), let digest = try? reader.digest(),
                let batch = try? reader.take(Int(length)), (try? Digest(of: batch)) == digest
            else { return }
            var records = ByteReader(batch)
            while !records.isAtEnd {
                guard let (path, receipt) = try? Receipt.decode(from: &records) else { return }
                note(path, receipt)
            }
        }
        validBytes = Int64(span.byteCount)
    }

    private mutating func note(_ path: String, _ receipt: Receipt) {
        if receipts.updateValue(receipt, forKey: path) != nil { supersededCount += 1 }
        var offset: Int64 = 0
        for item in receipt.items {
            if case .chunk(let length, let digest) = item {
                chunks[digest] = Place(path: path, offset: offset, length: length)
            }
            offset += item.length
        }
    }
}

extension ReceiptBook.Receipt {
    fileprivate func encode(path: String, to output: inout [UInt8]) {
        output.append(kind.rawValue)
        output.append(text: path)
        output.append(varint: inode)
        output.append(varint: UInt64(max(0, size)))
        for time in [modified, changed] {
            output.append(svarint: time.seconds)
            output.append(varint: UInt64(max(0, time.nanoseconds)))
        }
        output.append(varint: UInt64(mode))
        output.append(varint: UInt64(items.count))
        for item in items { item.encode(to: &output) }
    }

    fileprivate static func decode(
        from reader: inout ByteReader
    ) throws(FormatError) -> (path: String, receipt: ReceiptBook.Receipt) {
        guard let kind = EntryRecord.Kind(rawValue: try reader.u8()) else { throw FormatError("kind of a receipt") }
        // Destination folders and the entry's own path.
        let path = try reader.text("path", atMost: 2 * ArchiveLimits.pathBytes)
        let inode = try reader.varint("inode")
        let size = Int64(try reader.varint("size", atMost: UInt64(Int64.max)))
        let modified = try Timestamp(from: &reader)
        let changed = try Timestamp(from: &reader)
        let mode = UInt32(try reader.varint("mode", atMost: 0o7777))
        let count = try reader.varint("items", atMost: UInt64(reader.remaining))
        var items: [ChunksRecord.Item] = []
        for _ in 0..<count { items.append(try ChunksRecord.Item(from: &reader)) }
        return (
            path,
            ReceiptBook.Receipt(
                kind: kind,
                inode: inode,
                size: size,
                modified: modified,
                changed: changed,
                mode: mode,
                items: items
            )
        )
    }
}

extension Timestamp {
    fileprivate init(from reader: inout ByteReader) throws(FormatError) {
        let seconds = try reader.svarint("seconds")
        let nanoseconds = try reader.varint("nanoseconds", atMost: 999_999_999)
        self.init(seconds: seconds, nanoseconds: Int32(nanoseconds))
    }
}
