// SPDX-License-Identifier: MIT

import Codecs
package import Descriptors
private import Synchronization
private import SystemPackage

/// What was read of standard input and is not durable at the laptop yet, kept in a file until it is
/// (`docs/archive-format.md` section 10).
///
/// The file is a row of slots, each of which takes the bytes of one segment and is free again when all of its chunks
/// are durable: it never grows beyond them. Of chunks that are durable the digests stay, so that a laptop that has
/// forgotten the transfer can be offered everything from the start. A file that cannot be written loses nothing but
/// this: what is not in it cannot be sent a second time.
package final class StreamSpool: Sendable {
    /// Where the bytes of a chunk are.
    fileprivate enum Place {
        /// In that slot, from that byte of the file on.
        case slot(Int, position: Int64)
        /// At the laptop.
        case durable(Digest)
        /// Nowhere: the file could not be written.
        case nowhere
    }

    fileprivate struct Chunk {
        /// In the stream.
        let offset: Int64
        let length: Int
        var place: Place
    }

    /// A chunk before which everything is durable; a stream of a terabyte has half a million.
    fileprivate struct Delivered {
        let length: UInt32
        let digest: Digest
    }

    fileprivate struct State {
        var delivered: [Delivered] = []
        /// What follows them, in order.
        var chunks: [Chunk] = []
        /// Bytes of the stream in `delivered`, and in both.
        var deliveredBytes: Int64 = 0
        var end: Int64 = 0
        /// Chunks that each slot still holds.
        var slots: [Int]
        /// What is offered again next: its place in both lists, and in the stream; nil behind the end.
        var replay: (position: Int, offset: Int64)?
        var hasFailed = false
    }

    /// What is to be offered again.
    struct Replayed {
        /// In the stream.
        let offset: Int64
        var pieces: [FileSegment.Piece] = []
    }

    private let file: OwnedDescriptor
    private let slotBytes: Int
    private let failed: @Sendable (SystemError) -> Void
    private let state: Mutex<State>

    /// Takes an empty file, open for reading and writing; `failed` is told once that it cannot be written.
    ///
    /// A slot has to hold a segment.
    package init(
        in file: consuming OwnedDescriptor,
        slots: Int,
        slotBytes: Int = ArchiveLimits.frameBytes,
        failed: @escaping @Sendable (SystemError) -> Void
    ) {
        self.file = file
        self.slotBytes = slotBytes
        self.failed = failed
        state = Mutex(State(slots: Array(repeating: 0, count: slots)))
    }

    /// The next segment has somewhere to go; until then the stream is not to be read on.
    var hasRoom: Bool {
        state.withLock { $0.replay != nil || $0.hasFailed || $0.slots.contains(0) }
    }

    /// Bytes of the stream that were put in.
    var end: Int64 { state.withLock { $0.end } }

    /// Takes chunks that follow one another in the slab, as the next ones of the stream.
    func append(_ pieces: [Range<Int>], of slab: Slab) {
        guard let first = pieces.first, let last = pieces.last else { return }
        let slot = state.withLock { $0.slots.firstIndex(of: 0) }
        var start: Int64?
        if let slot, last.upperBound - first.lowerBound <= slotBytes {
            let position = Int64(slot) * Int64(slotBytes)
            do throws(SystemError) {
                try slab.withBytes(first.lowerBound..<last.upperBound) { (bytes: RawSpan) throws(SystemError) in
                    try file.writeAll(bytes, at: position)
                }
                start = position
            } catch {
                let isFirst = state.withLock { state in
                    defer { state.hasFailed = true }
                    return !state.hasFailed
                }
                if isFirst { failed(error) }
            }
        }
        state.withLock { state in
            for piece in pieces {
                var place = Place.nowhere
                if let slot, let start {
                    place = .slot(slot, position: start + Int64(piece.lowerBound - first.lowerBound))
                    state.slots[slot] += 1
                }
                state.chunks.append(Chunk(offset: state.end, length: piece.count, place: place))
                state.end += Int64(piece.count)
            }
        }
    }

    /// The chunk at that place of the stream is durable: its bytes are not needed any more.
    func letGo(of offset: Int64, digest: Digest) {
        state.withLock { state in
            guard let index = state.index(of: offset) else { return }
            if case .durable = state.chunks[index].place { return }
            if case .slot(let slot, _) = state.chunks[index].place { state.slots[slot] -= 1 }
            state.chunks[index].place = .durable(digest)
            guard index == 0 else { return }
            var count = 0
            while count < state.chunks.count, case .durable(let digest) = state.chunks[count].place {
                let length = state.chunks[count].length
                state.delivered.append(Delivered(length: UInt32(length), digest: digest))
                state.deliveredBytes += Int64(length)
                count += 1
            }
            state.chunks.removeFirst(count)
        }
    }

    /// Whether the bytes of the chunk at that place of the stream are here.
    func holds(_ offset: Int64) -> Bool { position(of: offset) != nil }

    /// Reads a chunk into the slab; false where it is not here any more.
    func read(_ offset: Int64, into slab: Slab, _ range: Range<Int>) -> Bool {
        guard let position = position(of: offset) else { return false }
        return (try? readBytes(at: position, into: slab, range)) == range.count
    }

    /// Everything is to be offered again from the start; false where some of it is nowhere.
    func rewind() -> Bool {
        state.withLock { state in
            let isWhole = state.chunks.allSatisfy { chunk in
                if case .nowhere = chunk.place { false } else { true }
            }
            if isWhole { state.replay = state.end > 0 ? (0, 0) : nil }
            return isWhole
        }
    }

    /// The next chunks that are to be offered again, what is here of them in the slab; nil behind the last one.
    func nextReplayed(into slab: Slab) throws(SystemError) -> Replayed? {
        guard let first = state.withLock({ $0.replay }) else { return nil }
        var replayed = Replayed(offset: first.offset)
        var used = 0
        while replayed.pieces.count < ChunksRecord.itemsPerRecord / 2, let next = state.withLock({ $0.nextReplayed }) {
            switch next.place {
            case .durable(let digest): replayed.pieces.append(.known(length: next.length, digest: digest))
            case .slot(_, let position):
                guard used + next.length <= slab.capacity else { return replayed }
                let range = used..<(used + next.length)
                guard try readBytes(at: position, into: slab, range) == range.count else {
                    throw SystemError(errno: .ioError, call: "pread", action: "read what was kept of the input")
                }
                replayed.pieces.append(.data(range))
                used = range.upperBound
            case .nowhere: throw SystemError(errno: .ioError, call: "pread", action: "read what was kept of the input")
            }
            state.withLock { $0.advanceReplay(by: next.length) }
        }
        return replayed
    }

    private func position(of offset: Int64) -> Int64? {
        state.withLock { state in
            guard let index = state.index(of: offset), case .slot(_, let position) = state.chunks[index].place else {
                return nil
            }
            return position
        }
    }

    private func readBytes(at position: Int64, into slab: Slab, _ range: Range<Int>) throws(SystemError) -> Int {
        try slab.withMutableBytes(range) { (span: inout MutableRawSpan) throws(SystemError) in
            try file.read(into: &span, at: position)
        }
    }
}

extension StreamSpool.State {
    /// Which of `chunks` begins there.
    fileprivate func index(of offset: Int64) -> Int? {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].offset < offset { low = middle + 1 } else { high = middle }
        }
        return low < chunks.count && chunks[low].offset == offset ? low : nil
    }

    fileprivate var nextReplayed: StreamSpool.Chunk? {
        guard let replay else { return nil }
        if replay.position < delivered.count {
            let chunk = delivered[replay.position]
            return StreamSpool.Chunk(offset: replay.offset, length: Int(chunk.length), place: .durable(chunk.digest))
        }
        // What has become durable meanwhile has moved from one list to the other: both count on.
        return chunks[replay.position - delivered.count]
    }

    fileprivate mutating func advanceReplay(by length: Int) {
        guard let now = replay else { return }
        let next = (now.position + 1, now.offset + Int64(length))
        replay = next.0 < delivered.count + chunks.count ? next : nil
    }
}
