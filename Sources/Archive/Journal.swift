// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// What stands verified and synced in a staging folder, file by file (`docs/archive-format.md` section 8).
package struct Journal: Sendable {
    static let fileName = "journal"
    static let log = CheckedLog(magic: "RTUNJRNL", version: 1)
    private static let sizeLimit = 512 << 20

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

    /// By path from the top-level name down.
    private(set) var files: [String: File] = [:]

    /// Reads the journal of a staging folder; what cannot be read counts as nothing.
    init(in folder: Directory) {
        guard let bytes = try? folder.readSmallFile(Self.fileName, atMost: Self.sizeLimit) else { return }
        bytes.withSpan { span in
            _ = Self.log.read(span) { reader throws(FormatError) in
                let path = try reader.text("path", atMost: ArchiveLimits.pathBytes)
                let identity = try FileIdentity(from: &reader)
                let count = try reader.varint("chunks", atMost: UInt64(reader.remaining))
                var file = files[path] ?? File(identity: identity)
                file.identity = identity
                for _ in 0..<count {
                    let offset = Int64(try reader.varint("offset", atMost: UInt64(Int64.max)))
                    let length = Int(try reader.varint("length", atMost: UInt64(ArchiveLimits.chunkBytes)))
                    file.chunks[offset] = Chunk(length: length, digest: try reader.digest())
                }
                files[path] = file
            }
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
