// SPDX-License-Identifier: MIT

package import Archive
package import Codecs

/// What the receiver of one transfer knows and decides: records, frames, when to sync, when to publish.
///
/// A value without I/O; `Receiver` carries out what it says.
package struct ReceiverStateMachine: Sendable {
    package private(set) var index: ArchiveIndex
    /// Raw bytes that were taken and are not durable.
    package private(set) var outstanding: UInt64 = 0
    private let credit: UInt64
    private var inWork: [UInt64: Int] = [:]
    /// Numbers of all frames that were begun.
    private var seenFrames: Set<UInt64> = []
    private var finishedFrames: UInt64 = 0
    private var highestFrame: UInt64?
    /// Verified, waiting for a sync: numbers of frames, and all chunks that are to be journalled.
    private var verified: [UInt64] = []
    private var verifiedTargets: [ChunkTarget] = []
    package private(set) var verifiedBytes = 0
    private var commit: Commit?
    /// Chunks listed by records whose steps are done in staging: frames may be written up to here.
    private var writableChunks: UInt64 = 0

    /// `foldsNames` says what the file system that receives makes of names that differ in case or normalisation.
    package init(credit: UInt64, foldsNames: Bool = false) {
        self.credit = credit
        index = ArchiveIndex(foldsNames: foldsNames)
    }

    /// Takes the records of one batch; returns what staging must do before frames listed behind them are written.
    ///
    /// With `collectingOffers` also what chunk lists offer, to be answered from what was delivered before.
    package mutating func take(
        records: RawSpan,
        collectingOffers: Bool
    ) throws(FormatError) -> (steps: [StagingStep], offers: [Offer]) {
        guard commit == nil else { throw FormatError("records behind COMMIT") }
        var steps: [StagingStep] = []
        var offers: [Offer] = []
        var index = consumeIndex()
        do throws(FormatError) {
            try Record.decodeBatch(records) { record throws(FormatError) in
                if let step = try index.apply(record) { steps.append(step) }
                if collectingOffers, case .chunks(let chunks) = record, let offer = index.offer(chunks) {
                    offers.append(offer)
                }
            }
        } catch {
            self.index = index
            throw error
        }
        self.index = index
        return (steps, offers)
    }

    /// Notes what is there already; returns the ordinals for HAVE.
    package mutating func take(_ answer: Recall.Answer) -> Have {
        index.satisfy(answer.had)
        for entry in answer.kept { index.keep(entry) }
        verifiedTargets.append(contentsOf: answer.staged)
        return Have(answered: index.listedChunks, ranges: answer.had)
    }

    /// Notes that the steps of all records taken so far are done.
    package mutating func markStepsDone() {
        writableChunks = index.listedChunks
    }

    /// Whether the records of a frame are there, or none will come any more.
    package func canBegin(_ frame: FrameHeader) -> Bool {
        commit != nil || (frame.runs.last?.upperBound ?? 0) < writableChunks
    }

    /// Begins a frame: the places of its chunks, or nil while their records have not come.
    package mutating func begin(_ frame: FrameHeader) throws(FormatError) -> [ChunkTarget]? {
        guard let last = frame.runs.last, last.upperBound < writableChunks else {
            guard commit == nil else { throw FormatError("a frame names chunks that were never listed") }
            return nil
        }
        if let commit, frame.number >= commit.frames { throw FormatError("a frame behind COMMIT") }
        let targets = try index.claim(frame.runs)
        guard seenFrames.insert(frame.number).inserted else { throw FormatError("a frame number twice") }
        let bytes = targets.reduce(0) { $0 + $1.length }
        // The first frame always fits, whatever the credit: a sender with nothing under way may send one.
        guard outstanding == 0 || outstanding + UInt64(bytes) <= credit else { throw FormatError("over the credit") }
        outstanding += UInt64(bytes)
        inWork[frame.number] = bytes
        highestFrame = max(highestFrame ?? 0, frame.number)
        return targets
    }

    /// Ends a frame whose chunks all stand verified, but for the refused entries.
    package mutating func finish(_ frame: FrameHeader, targets: [ChunkTarget], refused: Set<Int>) {
        guard let bytes = inWork.removeValue(forKey: frame.number) else { return }
        index.release(frame.runs)
        for entry in refused { index.refuse(entry) }
        for target in targets where !refused.contains(target.entry) {
            if case .drop = target.role { continue }
            index.complete(target)
            verifiedTargets.append(target)
        }
        verified.append(frame.number)
        verifiedBytes += bytes
        finishedFrames += 1
    }

    package mutating func refuse(_ entry: Int) {
        index.refuse(entry)
    }

    /// Forgets the frames of a link that broke, and COMMIT; nothing may be in work or wait for a sync.
    ///
    /// Returns what the sender is told: all ordinals whose bytes are not wanted.
    package mutating func beginEpoch() -> Have {
        precondition(inWork.isEmpty && !hasVerified, "a link is followed by the next when its frames are settled")
        index.reclaim()
        seenFrames = []
        finishedFrames = 0
        highestFrame = nil
        outstanding = 0
        commit = nil
        return Have(answered: index.listedChunks, ranges: index.settledChunks)
    }

    /// Forgets a frame that could not be written.
    package mutating func abandon(_ frame: FrameHeader) {
        inWork[frame.number] = nil
    }

    /// True while a frame is being written: RETRACT waits for that.
    package var isWriting: Bool { !inWork.isEmpty }

    /// True where a sync has something to make durable.
    package var hasVerified: Bool { !verified.isEmpty || !verifiedTargets.isEmpty }

    /// Takes what the next sync will make durable: frames, and chunks by file, in the order of the manifest.
    ///
    /// In that order they are asked for again, so that a journal is read once from its start.
    package mutating func takeVerified() -> (frames: [UInt64], chunks: [(path: String, targets: [ChunkTarget])]) {
        defer {
            verified = []
            verifiedTargets = []
            verifiedBytes = 0
        }
        var byEntry: [Int: [ChunkTarget]] = [:]
        for target in verifiedTargets where !index.entries[target.entry].isVoid {
            byEntry[target.entry, default: []].append(target)
        }
        var prefix = FolderPrefix()
        // In their order, so that the files of a folder are met together.
        return (
            verified,
            byEntry.sorted { $0.key < $1.key }.map { entry, targets in
                let name = index.entries[entry].name.text
                return (prefix.of(Int(index.entries[entry].parent), in: index) + name, targets)
            }
        )
    }

    /// Notes that a sync that began after `takeVerified` has ended; returns the ranges for DURABLE.
    package mutating func markDurable(_ frames: [UInt64], bytes: Int) -> [ClosedRange<UInt64>] {
        outstanding -= UInt64(bytes)
        var ranges: [ClosedRange<UInt64>] = []
        for number in frames.sorted() {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges
    }

    /// Takes COMMIT, once.
    package mutating func take(_ commit: Commit) throws(TransferError) {
        guard self.commit == nil else { throw .malformed(FormatError("COMMIT twice")) }
        guard index.isBegun else { throw .malformed(FormatError("COMMIT of an archive without a header")) }
        guard commit.records == index.recordCount else {
            throw .local(Abort(.integrity, "the manifest has another number of records than was sent"))
        }
        self.commit = commit
    }

    package var hasCommit: Bool { commit != nil }

    /// True where COMMIT counts frames that have neither come nor are being written.
    package var isMissingFrames: Bool {
        guard let commit else { return false }
        return finishedFrames + UInt64(inWork.count) < commit.frames
    }

    /// True when every frame that COMMIT counts has been written and synced.
    package var isReadyToPublish: Bool {
        guard let commit else { return false }
        return finishedFrames >= commit.frames && inWork.isEmpty && verified.isEmpty && outstanding == 0
    }

    /// Checks what must hold before anything gets a final name.
    package func checkComplete(manifest: Digest) throws(TransferError) {
        guard let commit else { throw .malformed(FormatError("published without COMMIT")) }
        guard commit.manifest == manifest else {
            throw .local(Abort(.integrity, "the manifest is not the one that was sent"))
        }
        guard finishedFrames == commit.frames, highestFrame.map({ $0 < commit.frames }) ?? true else {
            throw .malformed(FormatError("COMMIT of another number of frames"))
        }
        guard index.incompleteFiles == 0 else { throw .malformed(FormatError("chunks are missing at COMMIT")) }
    }

    /// Moves the index out, so that it is changed in place and not copied.
    private mutating func consumeIndex() -> ArchiveIndex {
        let taken = index
        index = ArchiveIndex()
        return taken
    }
}
