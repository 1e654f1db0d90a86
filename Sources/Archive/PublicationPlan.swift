// SPDX-License-Identifier: MIT

package import Codecs
import Descriptors
private import SystemPackage

/// The file that says how a staged archive is published, written and synced as a whole before the first step
/// (`docs/archive-format.md` section 8).
///
/// Carrying it out reads it again from the start, so a daemon that finds one goes the way of the one that wrote it.
struct PublicationPlan {
    static let fileName = "publication"
    static let log = CheckedLog(magic: "RTUNPUBL", version: 1)
    private static let batchBytes = 256 << 10

    private enum Kind: UInt8 {
        case head = 1
        case void = 2
        case kept = 3
        case step = 4
        case end = 5
    }

    /// Writes a plan; it counts once `finish` has made it durable.
    final class Writer {
        private let file: OwnedDescriptor
        private let folder: Directory
        private var batch: [UInt8] = []
        private var steps: UInt64 = 0

        init(in folder: Directory, _ head: PublicationHead, _ index: ArchiveIndex) throws(SystemError) {
            self.folder = folder
            if try folder.statusIfPresent(PublicationPlan.fileName) != nil {
                // Of an attempt that was cut short before its end.
                try folder.removeFile(PublicationPlan.fileName)
            }
            file = try folder.createFile(PublicationPlan.fileName)
            try write(PublicationPlan.log.header)
            batch.append(Kind.head.rawValue)
            head.encode(to: &batch)
            try add(.void, index.entries.indices.lazy.filter { index.entries[$0].isVoid })
            try add(.kept, index.entries.indices.lazy.filter { index.entries[$0].isKept })
        }

        func add(_ step: PublicationStep) throws(SystemError) {
            batch.append(Kind.step.rawValue)
            step.encode(to: &batch)
            steps += 1
            if batch.count >= PublicationPlan.batchBytes { try flush() }
        }

        func finish() throws(SystemError) {
            batch.append(Kind.end.rawValue)
            batch.append(varint: steps)
            try flush()
            try file.synchronizeFully()
            try folder.synchronize()
        }

        /// Ascending entries as ranges.
        private func add(_ kind: Kind, _ entries: some Sequence<Int>) throws(SystemError) {
            var first = -1
            var count = 0
            func note() {
                guard count > 0 else { return }
                batch.append(kind.rawValue)
                batch.append(varint: UInt64(first))
                batch.append(varint: UInt64(count))
            }
            for entry in entries {
                if entry == first + count, count > 0 {
                    count += 1
                } else {
                    note()
                    (first, count) = (entry, 1)
                }
                if batch.count >= PublicationPlan.batchBytes { try flush() }
            }
            note()
        }

        private func flush() throws(SystemError) {
            var bytes: [UInt8] = []
            do throws(CodecError) {
                try PublicationPlan.log.encode(batch: batch, to: &bytes)
            } catch {
                throw SystemError(errno: .noMemory, call: "SHA256_Update", action: "write down the publication")
            }
            batch.removeAll(keepingCapacity: true)
            try write(bytes)
        }

        private func write(_ bytes: [UInt8]) throws(SystemError) {
            try bytes.withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span) }
        }
    }

    let head: PublicationHead
    /// Entries that were refused or taken back, and those kept as they stand, as ranges of indices.
    let void: [Range<Int>]
    let kept: [Range<Int>]
    private let file: RecordFile

    /// Reads the plan of a staging folder; nil where there is none, or it was never finished.
    init?(in folder: Directory) throws(SystemError) {
        guard try folder.statusIfPresent(Self.fileName)?.kind == .file else { return nil }
        file = RecordFile(try folder.openFile(Self.fileName))
        var head: PublicationHead?
        var void: [Range<Int>] = []
        var kept: [Range<Int>] = []
        var steps: UInt64 = 0
        var isWhole = false
        var reader = try LogReader(file, as: Self.log)
        try reader.readAll { (reader, _) throws(FormatError) in
            guard let kind = Kind(rawValue: try reader.u8()), !isWhole else { throw FormatError("unknown record") }
            switch kind {
            case .head: head = try PublicationHead(from: &reader)
            case .void: void.append(try Self.range(from: &reader))
            case .kept: kept.append(try Self.range(from: &reader))
            case .step:
                _ = try PublicationStep(from: &reader)
                steps += 1
            case .end: isWhole = try reader.varint("steps") == steps
            }
        }
        guard let head, isWhole else { return nil }
        self.head = head
        self.void = void
        self.kept = kept
    }

    /// Whether a plan stands there whole, or one of a later version, which is not to be judged.
    static func isSettled(in folder: Directory) throws(SystemError) -> Bool {
        guard try folder.statusIfPresent(fileName)?.kind == .file else { return false }
        let file = RecordFile(try folder.openFile(fileName))
        if try LogReader(file, as: log).isForeign { return true }
        return try PublicationPlan(in: folder) != nil
    }

    private static func range(from reader: inout ByteReader) throws(FormatError) -> Range<Int> {
        let first = Int(try reader.varint("first", atMost: UInt64(ArchiveLimits.entries)))
        let count = Int(try reader.varint("count", atMost: UInt64(ArchiveLimits.entries)))
        return first..<(first + count)
    }

    /// Hands out the steps, in order.
    func forEachStep(_ body: (PublicationStep) throws(SystemError) -> Void) throws(SystemError) {
        var reader = try LogReader(file, as: Self.log)
        while let batch = try reader.next() {
            for step in batch.records.withSpan({ Self.steps(in: $0) }) { try body(step) }
        }
    }

    /// The steps of a batch that `init` has read whole.
    private static func steps(in batch: RawSpan) -> [PublicationStep] {
        var steps: [PublicationStep] = []
        var reader = ByteReader(batch)
        while let byte = try? reader.u8(), let kind = Kind(rawValue: byte) {
            switch kind {
            case .head: _ = try? PublicationHead(from: &reader)
            case .void, .kept: _ = try? range(from: &reader)
            case .step: if let step = try? PublicationStep(from: &reader) { steps.append(step) }
            case .end: return steps
            }
        }
        return steps
    }
}

/// Whose publication it is, and where it goes.
package struct PublicationHead: Sendable, Hashable {
    /// The name under which the source is filed; empty where it did not say who it is.
    package let source: String
    package let transfer: UInt64
    /// Of the transfer's secret.
    package let secret: Digest
    /// Folders below the inbox, outermost first.
    package let destination: [EntryName]

    package init(source: String, transfer: UInt64, secret: Digest, destination: [EntryName]) {
        self.source = source
        self.transfer = transfer
        self.secret = secret
        self.destination = destination
    }

    func encode(to output: inout [UInt8]) {
        output.append(text: source)
        output.append(u64: transfer)
        output.append(digest: secret)
        output.append(varint: UInt64(destination.count))
        for name in destination { output.append(text: name.text) }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        source = try reader.text("source", atMost: 64)
        transfer = try reader.u64()
        secret = try reader.digest()
        let count = try reader.varint("destination", atMost: UInt64(ArchiveLimits.depth))
        var names: [EntryName] = []
        for _ in 0..<count {
            let bytes = try reader.byteString("destination", atMost: ArchiveLimits.nameBytes).copy
            do throws(EntryName.Fault) {
                names.append(try EntryName(validating: bytes))
            } catch {
                throw FormatError("a destination that is no name")
            }
        }
        destination = names
    }
}
