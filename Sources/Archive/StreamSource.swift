// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Standard input, or anything else that can be read once and says no size.
///
/// With a spool it can be offered again from the start, to a laptop that has forgotten the transfer.
package final class StreamSource {
    private let descriptor: OwnedDescriptor
    private let name: EntryName
    private let chunker: ContentChunker
    private let spool: StreamSpool?
    /// Bytes that were read and stand behind the last cut.
    private var carried: [UInt8] = []
    private var number: UInt32?
    /// When the first byte was asked for.
    private var began: Timestamp?
    private var hasEnded = false
    private var failure: SystemError?
    private var isFinished = false

    package init(
        reading descriptor: consuming OwnedDescriptor,
        name: EntryName,
        spool: StreamSpool? = nil,
        chunker: ContentChunker = .init()
    ) {
        self.descriptor = descriptor
        self.name = name
        self.spool = spool
        self.chunker = chunker
    }

    /// Whether the next segment may be asked for: what was read and is not durable is bounded.
    var hasRoom: Bool { spool?.hasRoom ?? true }

    /// Begins anew with the first byte, for another planner; false where that is not possible any more.
    package func rewind() -> Bool {
        guard number != nil else { return true }
        guard let spool, spool.rewind() else { return false }
        number = nil
        isFinished = false
        return true
    }

    /// Reads and cuts the next segment, blocking until the slab is full or the stream ends; nil behind the end.
    ///
    /// `isCancelled` is asked whenever the stream has been silent for a while; then there is no next segment.
    func nextSegment(
        into slab: Slab,
        numbers walk: inout SourceWalk,
        isCancelled: () -> Bool
    ) -> FileSegment? {
        guard !isFinished else { return nil }
        var segment = FileSegment(entry: nil, number: number ?? walk.makeNumber())
        if number == nil {
            number = segment.number
            let modified = began ?? .now()
            began = modified
            segment.entry = EntryRecord(
                number: segment.number,
                parent: nil,
                name: name,
                mode: 0o644,
                modified: modified,
                content: .file(size: nil)
            )
        }
        do throws(SystemError) {
            if let spool, let replayed = try spool.nextReplayed(into: slab) {
                segment.origin = origin(at: replayed.offset)
                segment.pieces = replayed.pieces
                return segment
            }
            if let failure { throw failure }
            segment.origin = origin(at: spool?.end ?? 0)
            guard let filled = try fill(slab, isCancelled) else { return nil }
            cut(filled, of: slab, &segment)
            isFinished = hasEnded && carried.isEmpty
            segment.isLast = isFinished
        } catch {
            failure = error
            segment.retract = .unreadable
            segment.problem = SourceProblem(path: name.text, error: error)
            isFinished = true
        }
        return segment
    }

    private func origin(at offset: Int64) -> FileSegment.Origin? {
        spool.map { FileSegment.Origin(file: .spool($0), offset: offset, identity: nil, seen: 0, isSettled: false) }
    }

    /// Fills the slab with what is carried and what the stream has; nil where that was cancelled.
    private func fill(_ slab: Slab, _ isCancelled: () -> Bool) throws(SystemError) -> Int? {
        var filled = carried.count
        slab.withMutableBytes(0..<filled) { (span: inout MutableRawSpan) in span.fill(from: carried) }
        while !hasEnded, filled < slab.capacity {
            while !(try descriptor.waitUntilReadable(milliseconds: 100)) {
                guard isCancelled() else { continue }
                // What was read cannot be read again: the next planner gets it.
                carried = slab.withBytes(0..<filled) { $0.copy }
                return nil
            }
            let got = try slab.withMutableBytes(filled..<slab.capacity) {
                (span: inout MutableRawSpan) throws(SystemError) in
                try descriptor.readSome(into: &span)
            }
            hasEnded = got == 0
            filled += got
        }
        return filled
    }

    /// Cuts what is in the slab into chunks, and carries what stands behind the last cut.
    private func cut(_ filled: Int, of slab: Slab, _ segment: inout FileSegment) {
        var cuts: [Range<Int>] = []
        var start = 0
        while start < filled {
            let next = slab.withBytes(start..<filled) { chunker.firstCut(in: $0, isLast: hasEnded) }
            guard let next else { break }
            cuts.append(start..<(start + next))
            start += next
        }
        spool?.append(cuts, of: slab)
        segment.pieces = cuts.map { .data($0) }
        carried = slab.withBytes(start..<filled) { $0.copy }
    }
}

extension MutableRawSpan {
    fileprivate mutating func fill(from bytes: [UInt8]) {
        unsafe withUnsafeMutableBytes { unsafe $0.copyBytes(from: bytes) }
    }
}
