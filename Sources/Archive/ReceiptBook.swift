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
    private static let log = CheckedLog(magic: "RTUNRCPT", version: 1)
    /// Bytes of a book that is still read; beyond it nothing is known.
    private static let sizeLimit = 512 << 20
    /// Records of one batch.
    private static let batchBytes = 1 << 20

    /// One delivered name.
    package struct Receipt: Sendable, Hashable {
        package let kind: EntryRecord.Kind
        /// After publishing.
        package let identity: FileIdentity
        /// As the sender said it.
        package let mode: UInt32
        package let items: [ChunksRecord.Item]

        package init(kind: EntryRecord.Kind, identity: FileIdentity, mode: UInt32, items: [ChunksRecord.Item]) {
            self.kind = kind
            self.identity = identity
            self.mode = mode
            self.items = items
        }

        /// True where nobody has touched the name since it was delivered; of a folder only the inode counts.
        package func isOf(_ status: FileStatus, ignoringChangeTime: Bool = false) -> Bool {
            switch (kind, status.kind) {
            case (.folder, .directory): identity.inode == status.inode
            case (.file, .file), (.symlink, .symlink):
                identity.matches(status, ignoringChangeTime: ignoringChangeTime)
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

    /// The name under which a source is filed, 32 hex digits: SHA-256 of the label, a NUL and its key.
    package static func sourceName(label: String, sourceKey: [UInt8]) throws(CodecError) -> String {
        let digest = try (Array(label.utf8) + [0] + sourceKey).withSpan { (span: RawSpan) throws(CodecError) in
            try Digest(of: span)
        }
        return String(digest.description.prefix(32))
    }

    /// Opens the book of a source, which need not exist.
    package init(in inbox: Directory, sourceName: String) throws(StagingError) {
        name = sourceName
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
        let isFull = supersededCount > receipts.count
        let bytes: [UInt8]
        do throws(CodecError) {
            bytes =
                try isFull
                ? Self.encode(receipts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, isNew: true)
                : Self.encode(added, isNew: validBytes == 0)
        } catch {
            throw .codec(error.description)
        }
        do throws(SystemError) {
            if isFull {
                try rewrite(bytes)
            } else {
                try extend(bytes)
            }
        } catch {
            throw StagingError(error)
        }
    }

    private mutating func extend(_ bytes: [UInt8]) throws(SystemError) {
        if try folder.statusIfPresent(name) == nil { try folder.createFile(name).close() }
        let file = try folder.openFile(name, writable: true)
        try file.truncate(to: validBytes)
        try Self.write(bytes, to: file, at: validBytes)
        try file.synchronize()
        validBytes += Int64(bytes.count)
        try file.close()
        try folder.synchronize()
    }

    /// Writes the book anew, without what was superseded, beside the old one, and renames it.
    private mutating func rewrite(_ bytes: [UInt8]) throws(SystemError) {
        let draft = name + ".new"
        if try folder.statusIfPresent(draft) != nil { try folder.removeFile(draft) }
        let file = try folder.createFile(draft)
        try Self.write(bytes, to: file, at: 0)
        try file.synchronize()
        try file.close()
        try folder.rename(draft, to: name, in: folder)
        try folder.synchronize()
        validBytes = Int64(bytes.count)
        supersededCount = 0
    }

    private static func write(
        _ bytes: [UInt8],
        to file: borrowing OwnedDescriptor,
        at offset: Int64
    ) throws(SystemError) {
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span, at: offset) }
    }

    private static func encode(
        _ added: [(path: String, receipt: Receipt)],
        isNew: Bool
    ) throws(CodecError) -> [UInt8] {
        var output = isNew ? log.header : []
        var batch: [UInt8] = []
        for (position, entry) in added.enumerated() {
            entry.receipt.encode(path: entry.path, to: &batch)
            guard batch.count >= batchBytes || position == added.count - 1 else { continue }
            try log.encode(batch: batch, to: &output)
            batch = []
        }
        return output
    }

    // MARK: - Reading

    private mutating func load() throws(SystemError) {
        guard let status = try folder.statusIfPresent(name), status.kind == .file, status.size > 0 else { return }
        guard status.size <= Int64(Self.sizeLimit), let bytes = try folder.readSmallFile(name, atMost: Self.sizeLimit)
        else {
            isForeign = true
            return
        }
        let reading = bytes.withSpan { span in
            Self.log.read(span) { reader throws(FormatError) in
                let (path, receipt) = try Receipt.decode(from: &reader)
                note(path, receipt)
            }
        }
        validBytes = reading.validBytes
        isForeign = reading.isForeign
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
        identity.encode(to: &output)
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
        let identity = try FileIdentity(from: &reader)
        let mode = UInt32(try reader.varint("mode", atMost: 0o7777))
        let count = try reader.varint("items", atMost: UInt64(reader.remaining))
        var items: [ChunksRecord.Item] = []
        for _ in 0..<count { items.append(try ChunksRecord.Item(from: &reader)) }
        return (path, ReceiptBook.Receipt(kind: kind, identity: identity, mode: mode, items: items))
    }
}
