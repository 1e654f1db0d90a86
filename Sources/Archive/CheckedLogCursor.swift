// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// Reads a `CheckedLog` batch by batch, so that a log of any length costs the memory of one batch.
///
/// Ends quietly where the log is cut, damaged, or of a version that it does not know.
struct CheckedLogCursor: ~Copyable {
    /// Bytes that a batch may have.
    static let batchLimit = 4 << 20
    /// Length and digest in front of a batch.
    private static let prefixBytes = 4 + Digest.byteCount

    private let file: OwnedDescriptor
    private var offset: Int64

    /// Takes over the file; nil where it does not begin as a log of this kind does.
    init?(_ log: CheckedLog, reading file: consuming OwnedDescriptor) {
        let header = log.header
        guard (try? file.bytes(header.count, at: 0)) == header else { return nil }
        self.file = file
        offset = Int64(header.count)
    }

    /// The records of the next good batch; nil behind the last one.
    mutating func next() -> [UInt8]? {
        guard let prefix = try? file.bytes(Self.prefixBytes, at: offset), prefix.count == Self.prefixBytes else {
            return nil
        }
        let head = prefix.withSpan { span -> (length: Int, digest: Digest)? in
            var reader = ByteReader(span)
            guard let length = try? reader.u32(), let digest = try? reader.digest() else { return nil }
            return (Int(length), digest)
        }
        guard let (length, digest) = head, length <= Self.batchLimit,
            let batch = try? file.bytes(length, at: offset + Int64(Self.prefixBytes)), batch.count == length,
            batch.withSpan({ try? Digest(of: $0) }) == digest
        else { return nil }
        offset += Int64(Self.prefixBytes + length)
        return batch
    }
}

extension OwnedDescriptor {
    /// At most `count` bytes from `offset`; fewer only where the file ends.
    fileprivate borrowing func bytes(_ count: Int, at offset: Int64) throws(SystemError) -> [UInt8] {
        let slab = try Slab(capacity: max(count, 1))
        let got = try slab.withMutableBytes(0..<count) { (span: inout MutableRawSpan) throws(SystemError) in
            try read(into: &span, at: offset)
        }
        return slab.withBytes(0..<got) { $0.copy }
    }
}
