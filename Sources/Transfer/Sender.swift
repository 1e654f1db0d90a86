// SPDX-License-Identifier: MIT

package import Archive
import Codecs
private import Descriptors
import NIOCore
private import NIOPosix

/// How far a send is, for whoever shows it.
package struct SendProgress: Sendable {
    /// Raw bytes that are durable at the laptop.
    package var durableBytes: UInt64 = 0
    /// Raw bytes that were there before and did not travel.
    package var hadBytes: UInt64 = 0
    /// Raw bytes that were packed so far.
    package var packedBytes: UInt64 = 0
    /// Bytes written to all connections.
    package var wireBytes: UInt64 = 0
    package var files = 0
    /// COMMIT was sent: the laptop publishes.
    package var isCommitting = false

    package init() {}
}

/// The sending end of one transfer: packs what the planner plans, in order, and writes it to all connections.
///
/// Plan → pack and compress (all cores) → emit in order: records on the control connection, frames to whichever
/// connection is free. Every stage waits for the next one, so memory is bounded by the benches of the workshop, the
/// frames that wait and one frame per connection.
///
/// When the link breaks the stages stand still. On a new link records and frames that did not arrive are sent again, the
/// frames read once more from where their chunks stand, and everything goes on: nothing is scanned twice.
package actor Sender {
    /// Finds a way to the laptop again after the error and opens the transfer there; throws to give up.
    package typealias Relink = @Sendable (any Error) async throws -> SenderLink

    private struct Work: Sendable {
        let draft: EventLoopFuture<FrameDraft>
        let bench: Workbench
    }

    /// Chunks of a draft that are not all answered yet.
    private struct Offered: Sendable {
        let chunks: [ChunkFetch.Wanted]
        /// The bench whose slab holds bytes of them; nil where all are read when they are wanted.
        let bench: Workbench?
    }

    struct UnconfirmedRecords {
        /// Records of the transfer up to the end of the message.
        let end: UInt64
        let message: ByteBuffer
    }

    /// Drafts that may wait for answers: of small unchanged files, so many that no round trip of the link is felt.
    private static let offeredDrafts = 64
    /// Fetches that may wait for a bench.
    private static let waitingFetches = 8
    /// Fetches that are worked at.
    private static let fetchers = 2

    let firstLink: SenderLink
    let relink: Relink?
    private let workshop: Workshop
    private let compression: AdaptiveCompression
    let channels: Int
    private let cache: FilesCacheWriter?
    let report: @Sendable (SourceProblem) -> Void
    /// The daemon knows something of this source and says for every chunk whether it has it.
    private let awaitsAnswers: Bool
    private let works: BoundedQueue<Work>
    private let offers = BoundedQueue<Offered>(capacity: offeredDrafts)
    /// Buffers of frames that were written, to be filled again: memory is got from the system once.
    let spares = BoundedQueue<ByteBuffer>(capacity: TransferLimits.dataConnections)

    var machine: SenderStateMachine
    var progressNow = SendProgress()
    private var waiting: [CheckedContinuation<Void, Never>] = []
    var failure: (any Error)?

    /// Nil while it is broken.
    var link: SenderLink?
    var epoch = 0
    /// Frames ready for the connections of this epoch.
    var frames = BoundedQueue<ByteBuffer>(capacity: TransferLimits.readyFrames)
    var dataConnections: [SocketConnection] = []
    var writtenFrames: UInt64 = 0
    private var emittedFrames = 0
    var lastSpoken = NIODeadline.now()
    private var spokenRecords: UInt64 = 0
    var unconfirmed: [UnconfirmedRecords] = []

    /// Planned frames whose chunks are not all sent or had.
    private var unresolved = 0
    var fetches: [ChunkFetch] = []
    private var runningFetches = 0
    /// Entries to be taken back, and all that were.
    private var retractions: [LostFile] = []
    var retracted: Set<UInt32> = []

    /// `channels` is how many data connections are opened once more than one frame is under way.
    ///
    /// Without `relink` the send ends with its first link.
    package init(
        link: SenderLink,
        relink: Relink?,
        awaitsAnswers: Bool,
        workshop: Workshop,
        compression: AdaptiveCompression,
        channels: Int,
        cache: FilesCacheWriter? = nil,
        report: @escaping @Sendable (SourceProblem) -> Void
    ) {
        firstLink = link
        self.relink = relink
        self.workshop = workshop
        self.compression = compression
        self.channels = min(channels, Int(clamping: link.opened.channels))
        self.cache = cache
        self.report = report
        self.awaitsAnswers = awaitsAnswers
        works = BoundedQueue(capacity: workshop.benchCount)
        machine = SenderStateMachine(credit: min(link.opened.credit, TransferLimits.creditBytes))
    }

    package var progress: SendProgress { progressNow }

    /// Sends everything that the planner has and returns what stands at the laptop.
    ///
    /// Throws the first failure; a daemon that can be told is told why. `TransferForgotten` hands a link over.
    package nonisolated func run(_ planner: SourcePlanner) async throws -> Committed {
        try await withThrowingTaskGroup(of: Committed?.self) { group in
            group.addTask { try await self.serveLinks() }
            group.addTask {
                try await self.plan(planner)
                return nil
            }
            group.addTask {
                try await self.emit(planner)
                return nil
            }
            group.addTask {
                try await self.resolveOffers()
                return nil
            }
            for _ in 0..<Self.fetchers {
                group.addTask {
                    try await self.fetchWanted(planner)
                    return nil
                }
            }
            group.addTask {
                try await self.untilFailure()
                return nil
            }
            group.addTask {
                try await self.adaptCompression()
                return nil
            }
            do {
                while let result = try await group.next() {
                    guard let committed = result else { continue }
                    await end()
                    group.cancelAll()
                    return committed
                }
                throw TransferError.linkLost
            } catch {
                let cause = await fail(error)
                planner.cancel()
                group.cancelAll()
                if let link = await link {
                    await tell(cause, on: link)
                    link.control.close()
                }
                throw cause
            }
        }
    }

    /// Stops the send from outside; `run` throws it after the daemon was told.
    package func stop(_ abort: Abort, _ planner: SourcePlanner) async {
        planner.cancel()
        _ = await fail(TransferError.local(abort))
    }

    // MARK: - Stages

    private nonisolated func plan(_ planner: SourcePlanner) async throws {
        let compression = compression
        let makesPayload = !awaitsAnswers
        let eventLoop = firstLink.control.channel.eventLoop
        var resting: [Workbench] = []
        while let bench = await workshop.benches.take() {
            // Contexts of a high level are large: fewer benches work then, and the others give theirs back.
            let restCount = workshop.benchCount - compression.allowedBenches
            if resting.count < restCount {
                bench.compressor.releaseContexts()
                resting.append(bench)
                continue
            }
            while resting.count > restCount { _ = await workshop.benches.put(resting.removeLast()) }
            try await wait { _ in planner.hasRoom }
            guard let planned = try await workshop.serial.runIfActive({ planner.next(into: bench.slab) }) else {
                _ = await workshop.benches.put(bench)
                // What turns out not to be as it was announced is planned again.
                try await wait { $0.unresolved == 0 && $0.hasFetchedAll }
                if planner.hasRequeued { continue }
                break
            }
            if bench.output.storageCapacity < Workbench.frameBytes, let spare = await spares.takeIfAny() {
                bench.output = spare
            }
            let draft = workshop.workers.runIfActive(eventLoop: eventLoop) {
                try FrameDraft(planned, at: bench, compression: compression, makingPayload: makesPayload)
            }
            let work = Work(draft: draft, bench: bench)
            await noteUnresolved()
            guard await works.put(work) else {
                await abandon(work)
                break
            }
        }
        for bench in resting { _ = await workshop.benches.put(bench) }
        await works.finish()
    }

    private nonisolated func emit(_ planner: SourcePlanner) async throws {
        var manifest = try ManifestWriter()
        var chunkCount: UInt64 = 0
        var missing: Set<UInt32> = []
        var header = RecordBatches()
        header.append(.header(.standard))
        for records in try manifest.messages(for: header) { try await speak(records) }
        while let work = await works.take() {
            let draft = try await work.draft.get()
            for problem in draft.packed.problems { report(problem) }
            for entry in draft.packed.deferred { planner.requeue(entry) }
            missing.formUnion(draft.packed.missing)
            for records in try manifest.messages(for: await takeRetractions()) { try await speak(records) }
            try manifest.add(draft.packed.records)
            for records in draft.records { try await speak(records) }
            await count(draft.packed)
            try await remember(draft.packed.stretches)
            let chunks = draft.chunks(from: chunkCount)
            chunkCount += UInt64(chunks.count)
            let bench = work.bench
            if awaitsAnswers, !chunks.isEmpty {
                let holdsSlab = draft.packed.rawBytes > 0
                if !holdsSlab { _ = await workshop.benches.put(bench) }
                guard await offers.put(Offered(chunks: chunks, bench: holdsSlab ? bench : nil)) else {
                    if holdsSlab { _ = await workshop.benches.put(bench) }
                    return
                }
            } else {
                let message = bench.takeOutput()
                _ = await workshop.benches.put(bench)
                // Nothing is known of this source any more, not even what was durable before.
                guard chunks.allSatisfy(\.chunk.isInSlab) else { throw TransferError.sourceGone }
                // Moved, not copied: with a second reference to it the header would be written into a copy of the frame.
                if let payload = draft.payload { try await send(payload, consume message, chunks) }
                await noteResolved()
            }
        }
        await offers.finish()
        try await wait { $0.unresolved == 0 && $0.hasFetchedAll }
        for records in try manifest.messages(for: await takeRetractions()) { try await speak(records) }
        let last = planner.finish(missing: missing)
        for problem in last.problems { report(problem) }
        await count(last)
        for records in try manifest.messages(for: last.records) { try await speak(records) }
        if let cache { try? await workshop.run { try cache.flush() } }
        try await commit(records: manifest.recordCount, manifest: try manifest.finish())
    }

    /// What was read is written down for later attempts; where that fails it costs them reading it again.
    private nonisolated func remember(_ stretches: [UInt8]) async throws {
        guard let cache, !stretches.isEmpty else { return }
        cache.append(stretches)
        if cache.isFull { try? await workshop.run { try cache.flush() } }
    }

    /// Sends of offered chunks those that the daemon does not have.
    private nonisolated func resolveOffers() async throws {
        let compression = compression
        while let offered = await offers.take() {
            let had = try await answers(for: offered.chunks)
            let wanted = zip(offered.chunks, had).filter { !$0.1 }.map(\.0)
            if let bench = offered.bench {
                let held = wanted.filter { $0.chunk.isInSlab }
                if !held.isEmpty {
                    let all = offered.chunks
                    let payload = try await workshop.run {
                        try bench.keep(held, of: all)
                        return try FramePayload(
                            rawBytes: held.reduce(0) { $0 + $1.chunk.length },
                            runCount: held.runs.count,
                            at: bench,
                            compression: compression
                        )
                    }
                    try await send(payload, bench.takeOutput(), held)
                }
                _ = await workshop.benches.put(bench)
            }
            for fetch in ChunkFetch.fetches(of: wanted.filter { !$0.chunk.isInSlab }) {
                try await wait { $0.fetches.count < Self.waitingFetches }
                await add(fetch)
            }
            await noteResolved()
        }
    }

    /// Reads chunks again that are wanted after all, until the send ends.
    private nonisolated func fetchWanted(_ planner: SourcePlanner) async throws {
        let compression = compression
        var bench: Workbench?
        while true {
            try await wait { !$0.fetches.isEmpty }
            guard let fetch = await takeFetch() else { continue }
            let lent = try bench ?? Workbench()
            bench = lent
            let (result, payload) = try await workshop.run {
                let result = try fetch.read(into: lent.slab, digester: &lent.digester)
                let payload =
                    result.found.isEmpty
                    ? nil
                    : try FramePayload(
                        rawBytes: result.rawBytes,
                        runCount: result.found.runs.count,
                        at: lent,
                        compression: compression
                    )
                return (result, payload)
            }
            if let payload { try await send(payload, lent.takeOutput(), result.found) }
            for lost in result.lost where await lose(lost) {
                guard let entry = lost.entry else { throw TransferError.sourceGone }
                planner.requeue(entry)
            }
            await endFetch()
        }
    }

    private nonisolated func send(
        _ payload: FramePayload,
        _ frame: consuming ByteBuffer,
        _ chunks: [ChunkFetch.Wanted]
    ) async throws {
        let (number, queue) = try await nextFrame(of: chunks)
        payload.fillHeader(of: &frame, number: number, runs: chunks.runs)
        // Where the link broke meanwhile the frame is among those that are sent again.
        _ = await queue.put(frame)
    }

    // MARK: - State

    /// Waits until the condition holds; it is asked again after every change.
    private func wait(until condition: @Sendable (isolated Sender) -> Bool) async throws {
        while true {
            if let failure { throw failure }
            if condition(self) { return }
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    /// Says records on the link, or on the next one: they are kept until they are known to have arrived.
    private func speak(_ records: EncodedRecords) async throws {
        try await wait { $0.link != nil }
        spokenRecords += UInt64(records.recordCount)
        unconfirmed.append(UnconfirmedRecords(end: spokenRecords, message: records.message))
        await say(records.message, inWindow: true)
    }

    /// Writes on the link that is there; one that breaks is noticed by its reader.
    func say(_ message: ByteBuffer, inWindow: Bool = false) async {
        guard let link else { return }
        lastSpoken = .now()
        progressNow.wireBytes += UInt64(message.readableBytes)
        do { try await link.pace.say(message, inWindow: inWindow) } catch { link.control.close() }
    }

    /// Waits for a link and for credit, and numbers the frame.
    private func nextFrame(of chunks: [ChunkFetch.Wanted]) async throws -> (UInt64, BoundedQueue<ByteBuffer>) {
        while true {
            try await wait { $0.link != nil }
            if let number = machine.nextFrame(of: chunks) {
                emittedFrames += 1
                if emittedFrames == 2 { wake() }
                return (number, frames)
            }
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    /// COMMIT goes out behind the last frame, which another task may just be writing on this very connection.
    ///
    /// Does not return: it says COMMIT on every link, until the send ends.
    private func commit(records: UInt64, manifest: Digest) async throws {
        while true {
            try await wait {
                $0.link != nil && $0.hasFetchedAll && $0.writtenFrames == $0.machine.frames
            }
            // A file that changed behind the end of the plan: the manifest is closed, so everything is offered anew.
            guard retractions.isEmpty else { throw TransferError.local(.sourceChanged) }
            let epoch = epoch
            machine.commit()
            progressNow.isCommitting = true
            wake()
            await say(ByteBuffer(.commit(Commit(records: records, frames: machine.frames, manifest: manifest))))
            try await wait { $0.epoch != epoch }
        }
    }

    func markDurable(_ ranges: [ClosedRange<UInt64>]) throws {
        for chunk in try machine.markDurable(ranges) { chunk.chunk.letGo() }
        progressNow.durableBytes = machine.durable
        wake()
    }

    func markReceived(_ received: Received) async throws {
        machine.markReceived(received)
        await link?.pace.take(received: received.bytes)
        try confirm(received.records)
    }

    /// Lets go of records that have arrived; the receiver takes a message as a whole.
    func confirm(_ records: UInt64) throws {
        guard records <= spokenRecords else {
            throw TransferError.malformed(FormatError("records that were never sent"))
        }
        unconfirmed.removeFirst(unconfirmed.firstIndex { $0.end > records } ?? unconfirmed.count)
    }

    /// Lets the compression be decided anew, four times a second.
    private func adaptCompression() async throws {
        let cores = ProcessContext.allowedProcessorCount
        while true {
            compression.decide(
                received: machine.received.bytes,
                now: ProcessContext.monotonicNow,
                idle: ProcessContext.idleTime,
                cores: cores
            )
            try await Task.sleep(for: CompressionController.interval, clock: .suspending)
        }
    }

    private func count(_ packed: PackedFrame) {
        progressNow.packedBytes += UInt64(packed.chunks.reduce(0) { $0 + $1.length })
        progressNow.files += packed.fileCount
    }

    /// Waits until every chunk is answered; true for those that are had.
    private func answers(for chunks: [ChunkFetch.Wanted]) async throws -> [Bool] {
        guard let first = chunks.first?.ordinal else { return [] }
        try await wait { $0.machine.answered >= first + UInt64(chunks.count) }
        let had = machine.takeHad(first: first, count: chunks.count)
        for (chunk, isHad) in zip(chunks, had) where isHad {
            progressNow.hadBytes += UInt64(chunk.chunk.length)
            chunk.chunk.letGo()
        }
        wake()
        return had
    }

    func markAnswered(_ have: Have) throws {
        guard awaitsAnswers else { throw TransferError.malformed(FormatError("HAVE where nothing is known")) }
        do throws(FormatError) { try machine.markAnswered(have) } catch { throw TransferError.malformed(error) }
        wake()
    }

    private func noteUnresolved() { unresolved += 1 }

    private func noteResolved() {
        unresolved -= 1
        if unresolved == 0 { wake() }
    }

    private var hasFetchedAll: Bool { fetches.isEmpty && runningFetches == 0 }

    private func add(_ fetch: ChunkFetch) {
        fetches.append(fetch)
        wake()
    }

    private func takeFetch() -> ChunkFetch? {
        guard !fetches.isEmpty else { return nil }
        runningFetches += 1
        defer { wake() }
        return fetches.removeFirst()
    }

    private func endFetch() {
        runningFetches -= 1
        wake()
    }

    /// Notes that the entry is to be taken back; false where that was noted before.
    private func lose(_ lost: LostFile) -> Bool {
        guard retracted.insert(lost.number).inserted else { return false }
        retractions.append(lost)
        return true
    }

    private func takeRetractions() -> RecordBatches {
        var batches = RecordBatches()
        for lost in retractions { batches.append(.retract(entry: lost.number, reason: lost.reason)) }
        retractions = []
        return batches
    }

    func checkCommitted() throws {
        try machine.checkCommitted()
    }

    func countFrame(wireBytes: Int, _ epoch: Int) {
        progressNow.wireBytes += UInt64(wireBytes)
        lastSpoken = .now()
        guard epoch == self.epoch else { return }
        writtenFrames += 1
        if writtenFrames == machine.frames { wake() }
    }

    /// Waits for the second frame: a send that fits one frame is over before another connection is open.
    func isWorthMoreConnections(_ epoch: Int) async -> Bool {
        while emittedFrames < 2, failure == nil, link != nil, epoch == self.epoch, !progressNow.isCommitting {
            await withCheckedContinuation { waiting.append($0) }
        }
        return failure == nil && link != nil && epoch == self.epoch && emittedFrames >= 2
    }

    var hasDataConnections: Bool { !dataConnections.isEmpty }

    func join(_ connection: SocketConnection, _ epoch: Int) -> Bool {
        guard failure == nil, link != nil, epoch == self.epoch else {
            connection.close()
            return false
        }
        dataConnections.append(connection)
        return true
    }

    func wake() {
        let woken = waiting
        waiting = []
        for continuation in woken { continuation.resume() }
    }

    /// Throws as soon as the send has failed, whatever its stages are waiting for.
    private func untilFailure() async throws {
        try await wait { _ in false }
    }

    private func fail(_ error: any Error) async -> any Error {
        let cause = failure ?? error
        failure = cause
        await end()
        return cause
    }

    func end() async {
        failure = failure ?? CancellationError()
        for connection in dataConnections { connection.close() }
        wake()
        await frames.finish(discarding: true)
        await offers.finish()
        while let offered = await offers.take() {
            if let bench = offered.bench { _ = await workshop.benches.put(bench) }
        }
        await works.finish()
        while let work = await works.take() { await abandon(work) }
    }

    /// Waits for a job whose frame nobody wants any more, so that its bench can be lent again.
    private nonisolated func abandon(_ work: Work) async {
        do { _ = try await work.draft.get() } catch {
            // The send has failed already.
        }
        _ = await workshop.benches.put(work.bench)
    }
}

extension Workbench {
    /// Moves the kept chunks to the start of the slab, in which all chunks that are in it stand in order.
    fileprivate func keep(_ kept: [ChunkFetch.Wanted], of all: [ChunkFetch.Wanted]) throws {
        var source = 0
        var target = 0
        var next = kept[...]
        for chunk in all where chunk.chunk.isInSlab {
            let length = chunk.chunk.length
            if next.first?.ordinal == chunk.ordinal {
                next.removeFirst()
                if target != source { slab.move(source..<(source + length), to: target) }
                target += length
            }
            source += length
        }
    }
}
