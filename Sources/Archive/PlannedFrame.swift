// SPDX-License-Identifier: MIT

import Codecs
import Descriptors

/// What one frame shall hold, decided by `SourcePlanner`; `pack` reads, hashes and describes it.
///
/// Planning is serial and cheap, packing is the work and runs on any thread: a planned frame refers to nothing that
/// another one changes. Frames are numbered and emitted in the order in which they were planned.
package struct PlannedFrame: Sendable {
    enum Item: Sendable {
        /// An entry without bytes.
        case entry(EntryRecord)
        /// A file that is read in one piece when the frame is packed, unless it is known what is in it.
        case smallFile(SmallFile)
        /// A piece of a longer file, whose bytes stand in the slab already or are known.
        case segment(FileSegment)
        case problem(SourceProblem)
    }

    var items: [Item] = []
    /// Bytes of the small files to be read, as the walk saw them.
    var plannedBytes = 0
    /// Folders of its small files, held open until they are read.
    var folders: [Directory] = []
    var lastFolder: SourceFolder?

    var isEmpty: Bool { items.isEmpty }
}

/// A file that fits a frame whole.
struct SmallFile: Sendable {
    let entry: WalkedEntry
    /// The chunk that it is, if it is as it was; then its bytes are not read.
    let known: ChunksRecord.Item?
    /// Since when it is known to be as the walk saw it, in seconds since 1970.
    let seen: Int64
}

/// A piece of one file that was read and cut already.
struct FileSegment: Sendable {
    /// The file's entry, with its first segment.
    var entry: EntryRecord?
    var number: UInt32
    var pieces: [Piece] = []
    var isLast = false
    /// Set where the file is taken back instead.
    var retract: RetractReason?
    var problem: SourceProblem?
    /// Where its bytes can be read again; nil where they cannot.
    var origin: Origin?

    enum Piece: Sendable {
        /// Bytes of the slab.
        case data(Range<Int>)
        case hole(Int64)
        /// Bytes that were read before and are not read now.
        case known(length: Int, digest: Digest)
    }

    struct Origin: Sendable {
        let file: ChunkOrigin.File
        /// Bytes of the file before the segment.
        var offset: Int64
        /// How the file is known again; nil where nobody will ask.
        var identity: FileIdentity?
        var seen: Int64
        var isSettled: Bool
    }
}
