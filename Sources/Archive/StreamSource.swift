// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Standard input, or anything else that can be read once and says no size.
package final class StreamSource {
    private let descriptor: OwnedDescriptor
    private let name: EntryName
    private let chunker: ContentChunker
    /// Bytes that were read and stand behind the last cut.
    private var carried: [UInt8] = []
    private var number: UInt32?
    private var hasEnded = false
    private var isFinished = false

    package init(reading descriptor: consuming OwnedDescriptor, name: EntryName, chunker: ContentChunker = .init()) {
        self.descriptor = descriptor
        self.name = name
        self.chunker = chunker
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
            segment.entry = EntryRecord(
                number: segment.number,
                parent: nil,
                name: name,
                mode: 0o644,
                modified: .now(),
                content: .file(size: nil)
            )
        }
        do throws(SystemError) {
            var filled = carried.count
            slab.withMutableBytes(0..<filled) { (span: inout MutableRawSpan) in span.fill(from: carried) }
            while !hasEnded, filled < slab.capacity {
                while !(try descriptor.waitUntilReadable(milliseconds: 100)) {
                    if isCancelled() { return nil }
                }
                let got = try slab.withMutableBytes(filled..<slab.capacity) {
                    (span: inout MutableRawSpan) throws(SystemError) in
                    try descriptor.readSome(into: &span)
                }
                hasEnded = got == 0
                filled += got
            }
            var cut = 0
            while cut < filled {
                let next = slab.withBytes(cut..<filled) { chunker.firstCut(in: $0, isLast: hasEnded) }
                guard let next else { break }
                segment.pieces.append(.data(cut..<(cut + next)))
                cut += next
            }
            carried = slab.withBytes(cut..<filled) { $0.copy }
            isFinished = hasEnded && carried.isEmpty
            segment.isLast = isFinished
        } catch {
            segment.retract = .unreadable
            segment.problem = SourceProblem(path: name.text, error: error)
            isFinished = true
        }
        return segment
    }
}

extension MutableRawSpan {
    fileprivate mutating func fill(from bytes: [UInt8]) {
        unsafe withUnsafeMutableBytes { unsafe $0.copyBytes(from: bytes) }
    }
}
