// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors

/// One delivered name, as a receipt book keeps it (`docs/archive-format.md` section 9).
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
        case (.file, .file), (.symlink, .symlink): identity.matches(status, ignoringChangeTime: ignoringChangeTime)
        default: false
        }
    }

    func encode(path: String, to output: inout [UInt8]) {
        output.append(kind.rawValue)
        output.append(text: path)
        identity.encode(to: &output)
        output.append(varint: UInt64(mode))
        output.append(varint: UInt64(items.count))
        for item in items { item.encode(to: &output) }
    }
}

/// A record of a receipt book.
enum ReceiptRecord {
    case receipt(path: String, Receipt)
    case finished(FinishedTransfer)

    /// Kinds below are those of entries.
    static let finishedKind: UInt8 = 16

    init(from reader: inout ByteReader) throws(FormatError) {
        let byte = try reader.u8()
        if byte == Self.finishedKind {
            self = .finished(try FinishedTransfer(from: &reader))
            return
        }
        guard let kind = EntryRecord.Kind(rawValue: byte) else { throw FormatError("kind of a receipt") }
        // Destination folders and the entry's own path.
        let path = try reader.text("path", atMost: 2 * ArchiveLimits.pathBytes)
        let identity = try FileIdentity(from: &reader)
        let mode = UInt32(try reader.varint("mode", atMost: 0o7777))
        let count = try reader.varint("items", atMost: UInt64(reader.remaining))
        let items = try ChunksRecord.Item.list(from: &reader, count: count)
        self = .receipt(path: path, Receipt(kind: kind, identity: identity, mode: mode, items: items))
    }
}

/// A transfer that has been published, and what its sender was told.
package struct FinishedTransfer: Sendable, Hashable {
    /// Bytes of an answer that is kept.
    private static let answerLimit = 64 << 10

    package let transfer: UInt64
    /// Of the transfer's secret: only who has it is answered.
    package let secret: Digest
    /// The body of COMMITTED.
    package let answer: [UInt8]

    package init(transfer: UInt64, secret: Digest, answer: [UInt8]) {
        self.transfer = transfer
        self.secret = secret
        self.answer = answer
    }

    /// Answers longer than a message can be are not kept.
    var isKept: Bool { answer.count <= Self.answerLimit }

    func encode(to output: inout [UInt8]) {
        output.append(ReceiptRecord.finishedKind)
        output.append(u64: transfer)
        output.append(digest: secret)
        output.append(byteString: answer)
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        transfer = try reader.u64()
        secret = try reader.digest()
        answer = try reader.byteString("answer", atMost: Self.answerLimit).copy
    }
}

extension ChunksRecord.Item {
    /// The list of a whole file; all together they are no longer than a file can be.
    static func list(from reader: inout ByteReader, count: UInt64) throws(FormatError) -> [ChunksRecord.Item] {
        var items: [ChunksRecord.Item] = []
        var bytes: Int64 = 0
        for _ in 0..<count {
            let item = try ChunksRecord.Item(from: &reader)
            let (sum, overflow) = bytes.addingReportingOverflow(item.length)
            guard !overflow else { throw FormatError("a list of chunks that is too long for a file") }
            bytes = sum
            items.append(item)
        }
        return items
    }
}
