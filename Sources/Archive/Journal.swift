// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// What stands verified and synced in a staging folder, file by file (`docs/archive-format.md` section 8).
///
/// The records stay in the file; memory holds 16 bytes for each, and for each chunk.
package struct Journal: Sendable {
    static let fileName = "journal"
    static let log = CheckedLog(magic: "RTUNJRNL", version: 1)

    /// A staged file with the chunks that stand in it.
    struct File: Sendable {
        /// As it was when its last record was written.
        var identity: FileIdentity
        /// By offset.
        var chunks: [Int64: Chunk] = [:]
    }

    struct Chunk: Sendable, Hashable {
        let length: Int
        let digest: Digest
    }

    private struct Entry {
        let path: String
        let identity: FileIdentity
        let chunks: [Int64: Chunk]

        init(from reader: inout ByteReader) throws(FormatError) {
            path = try reader.text("path", atMost: ArchiveLimits.pathBytes)
            identity = try FileIdentity(from: &reader)
            let count = try reader.varint("chunks", atMost: UInt64(reader.remaining))
            var chunks: [Int64: Chunk] = [:]
            for _ in 0..<count {
                let offset = Int64(try reader.varint("offset", atMost: UInt64(Int64.max)))
                let length = Int(try reader.varint("length", atMost: UInt64(ArchiveLimits.chunkBytes)))
                chunks[offset] = Chunk(length: length, digest: try reader.digest())
            }
            self.chunks = chunks
        }
    }

    private let file: RecordFile?
    private let table: RecordTable
    /// Records by the digests of their chunks.
    private let chunkTable: RecordTable
    /// Written by a later version: not to be used, and not to be removed before its time.
    let isForeign: Bool

    /// Reads the journal of a staging folder; what cannot be read counts as nothing.
    init(in folder: Directory) {
        var table = RecordTable()
        var chunkTable = RecordTable()
        var isForeign = false
        file = try? RecordFile(folder.openFile(Self.fileName))
        do {
            if let file {
                var reader = try LogReader(file, as: Self.log)
                isForeign = reader.isForeign
                try reader.readAll { (reader, offset) throws(FormatError) in
                    let entry = try Entry(from: &reader)
                    table.add(RecordTable.key(of: entry.path), at: offset)
                    for chunk in entry.chunks.values { chunkTable.add(RecordTable.key(of: chunk.digest), at: offset) }
                }
            }
        } catch {
            // What was read up to here is true.
        }
        table.settle()
        chunkTable.settle()
        self.table = table
        self.chunkTable = chunkTable
        self.isForeign = isForeign
    }

    /// What is known of the file of that path, from the top-level name down.
    func file(at path: String) -> File? {
        var found: File?
        for offset in table.offsets(of: RecordTable.key(of: path)) {
            let record = file?.record(at: offset) { (reader) throws(FormatError) in try Entry(from: &reader) }
            guard let entry = record, entry.path.utf8.elementsEqual(path.utf8) else { continue }
            // The latest comes first: its identity counts, and its chunks.
            if found == nil { found = File(identity: entry.identity) }
            found?.chunks.merge(entry.chunks) { later, _ in later }
        }
        return found
    }

    /// Where a chunk was written: the path of the file and the offset in it; the latest first.
    func places(of chunk: Chunk) -> some Sequence<(path: String, offset: Int64)> {
        chunkTable.offsets(of: RecordTable.key(of: chunk.digest)).lazy.compactMap { record in
            let entry = file?.record(at: record) { (reader) throws(FormatError) in try Entry(from: &reader) }
            guard let entry, let found = entry.chunks.first(where: { $0.value == chunk }) else { return nil }
            return (entry.path, found.key)
        }
    }

    /// The record of chunks that stand in one file; without any it renews the file's identity.
    static func encode(_ path: String, _ identity: FileIdentity, _ chunks: [Int64: Chunk], to output: inout [UInt8]) {
        output.append(text: path)
        identity.encode(to: &output)
        output.append(varint: UInt64(chunks.count))
        for (offset, chunk) in chunks.sorted(by: { $0.key < $1.key }) {
            output.append(varint: UInt64(offset))
            output.append(varint: UInt64(chunk.length))
            output.append(digest: chunk.digest)
        }
    }
}

extension ChunkTarget {
    /// Where it begins in its file.
    var offset: Int64 {
        if case .part(let offset) = role { offset } else { 0 }
    }
}
