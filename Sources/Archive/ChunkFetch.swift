// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors

/// A file that does not hold what was announced.
package struct LostFile: Sendable {
    /// Of the entry that is to be taken back.
    package let number: UInt32
    package let reason: RetractReason
    /// Nil where it cannot be announced again.
    package let entry: WalkedEntry?
}

/// Chunks whose bytes are wanted after all, read again from where they stand: at most a frame's worth.
package struct ChunkFetch: Sendable {
    /// One chunk that was announced.
    package struct Wanted: Sendable {
        package let ordinal: UInt64
        package let chunk: PackedChunk

        package init(ordinal: UInt64, chunk: PackedChunk) {
            self.ordinal = ordinal
            self.chunk = chunk
        }
    }

    /// What came of reading.
    package struct Result: Sendable {
        /// Chunks whose bytes stand in the slab, one behind the other.
        package var found: [Wanted] = []
        package var rawBytes = 0
        /// Each once.
        package var lost: [LostFile] = []
    }

    package private(set) var wanted: [Wanted] = []
    private var rawBytes = 0

    package init() {}

    /// Cuts a list of chunks, ascending by ordinal, into what fits a frame each.
    package static func fetches(of wanted: [Wanted]) -> [ChunkFetch] {
        var fetches: [ChunkFetch] = []
        for chunk in wanted {
            if fetches.isEmpty || !fetches[fetches.count - 1].append(chunk) {
                var next = ChunkFetch()
                _ = next.append(chunk)
                fetches.append(next)
            }
        }
        return fetches
    }

    /// Adds a chunk; false where the frame is full.
    private mutating func append(_ chunk: Wanted) -> Bool {
        guard rawBytes + chunk.chunk.length <= ArchiveLimits.frameBytes,
            wanted.count < SourcePlanner.filesPerFrame
        else { return false }
        rawBytes += chunk.chunk.length
        wanted.append(chunk)
        return true
    }

    /// Reads every chunk into the slab and compares its digest; a file with one that differs is lost as a whole.
    package func read(into slab: Slab, digester: inout Digester) throws(CodecError) -> Result {
        var result = Result()
        var opened: (number: UInt32, file: OpenedOrigin?)?
        for wanted in wanted {
            guard let origin = wanted.chunk.origin else { continue }
            if result.lost.contains(where: { $0.number == origin.number }) { continue }
            if opened?.number != origin.number { opened = (origin.number, OpenedOrigin(origin)) }
            let range = result.rawBytes..<(result.rawBytes + wanted.chunk.length)
            guard let file = opened?.file, file.read(into: slab, range, at: origin.offset) else {
                result.lose(origin, opened?.file == nil ? .vanished : .changed)
                continue
            }
            let digest = try slab.withBytes(range) { (bytes: RawSpan) throws(CodecError) in
                try digester.digest(bytes)
            }
            guard digest == wanted.chunk.digest else {
                result.lose(origin, .changed)
                continue
            }
            result.found.append(wanted)
            result.rawBytes = range.upperBound
        }
        return result
    }
}

extension ChunkFetch.Result {
    fileprivate mutating func lose(_ origin: ChunkOrigin, _ reason: RetractReason) {
        switch origin.file {
        case .source(let entry): lost.append(LostFile(number: origin.number, reason: reason, entry: entry))
        case .spool: lost.append(LostFile(number: origin.number, reason: reason, entry: nil))
        }
    }
}

/// A file that chunks are read from again.
private enum OpenedOrigin {
    case source(OwnedFile)
    case spool(StreamSpool)

    /// An enumeration cannot hold the descriptor itself and be copied.
    final class OwnedFile {
        let descriptor: OwnedDescriptor

        init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
    }

    init?(_ origin: ChunkOrigin) {
        switch origin.file {
        case .source(let entry):
            guard let file = try? entry.open() else { return nil }
            self = .source(OwnedFile(file))
        case .spool(let spool): self = .spool(spool)
        }
    }

    /// True where all bytes of the range could be read.
    func read(into slab: Slab, _ range: Range<Int>, at offset: Int64) -> Bool {
        switch self {
        case .spool(let spool): return spool.read(offset, into: slab, range)
        case .source(let file):
            let count = try? slab.withMutableBytes(range) { (span: inout MutableRawSpan) throws(SystemError) in
                try file.descriptor.read(into: &span, at: offset)
            }
            return count == range.count
        }
    }
}
