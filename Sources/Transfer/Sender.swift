// SPDX-License-Identifier: MIT

package import Archive
package import Codecs
private import Descriptors
private import NIOCore
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
package actor Sender {
    /// Opens one more data connection; nil where the daemon wants no more.
    package typealias Connect = @Sendable () async throws -> SocketConnection?

    private struct Work: Sendable {
        let draft: EventLoopFuture<FrameDraft>
        let bench: Workbench
    }

    /// A draft whose chunks were offered and are not all answered yet.
    private struct Offered: Sendable {
        let draft: FrameDraft
        let bench: Workbench
        let firstOrdinal: UInt64
    }

    private let control: SocketConnection
    private let workshop: Workshop
    private let compression: Compression
    private let channels: Int
    private let connect: Connect
    private let report: @Sendable (SourceProblem) -> Void
    private let works: BoundedQueue<Work>
    /// The daemon knows something of this source and says for every chunk whether it has it.
    private let awaitsAnswers: Bool
    private let offers: BoundedQueue<Offered>
    private var hasResolvedAll = false
    private let frames = BoundedQueue<ByteBuffer>(capacity: TransferLimits.readyFrames)
    /// Buffers of frames that were written, to be filled again: memory is got from the system once.
    private let spares = BoundedQueue<ByteBuffer>(capacity: TransferLimits.dataConnections)
    private let heard = ReceivedCount()

    private var machine: SenderStateMachine
    private var progressNow = SendProgress()
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var failure: (any Error)?
    private var dataConnections: [SocketConnection] = []
    private var emittedFrames = 0
    private var writtenFrames: UInt64 = 0
    private var lastSpoken = NIODeadline.now()

    /// `channels` is how many data connections are opened once more than one frame is under way.
    package init(
        control: SocketConnection,
        opened: Opened,
        awaitsAnswers: Bool,
        workshop: Workshop,
        compression: Compression,
        channels: Int,
        connect: @escaping Connect,
        report: @escaping @Sendable (SourceProblem) -> Void
    ) {
        self.control = control
        self.workshop = workshop
        self.compression = compression
        self.channels = min(channels, Int(clamping: opened.channels))
        self.connect = connect
        self.report = report
        self.awaitsAnswers = awaitsAnswers
        works = BoundedQueue(capacity: workshop.benchCount)
        offers = BoundedQueue(capacity: workshop.benchCount)
        machine = SenderStateMachine(credit: min(opened.credit, TransferLimits.creditBytes))
    }

    package var progress: SendProgress { progressNow }

    /// Sends everything that the planner has and returns what stands at the laptop.
    ///
    /// Throws the first failure; a daemon that can be told is told why.
    package nonisolated func run(_ stream: MessageStream, planner: SourcePlanner) async throws -> Committed {
        try await withThrowingTaskGroup(of: Committed?.self) { group in
            group.addTask { try await self.readControl(stream) }
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
            group.addTask {
                try await self.writeOnControl()
                return nil
            }
            for _ in 0..<channels {
                group.addTask {
                    try await self.writeOnDataConnection()
                    return nil
                }
            }
            group.addTask {
                try await self.tick()
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
                let told = (cause as? FormatError).map(TransferError.malformed) ?? cause as? TransferError
                if let abort = told?.abort { await control.close(after: .abort(abort)) }
                control.close()
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
        while let bench = await workshop.benches.take() {
            guard let planned = try await workshop.serial.runIfActive({ planner.next(into: bench.slab) }) else {
                _ = await workshop.benches.put(bench)
                break
            }
            if let spare = await spares.takeIfAny() { bench.output = spare }
            let draft = workshop.workers.runIfActive(eventLoop: control.channel.eventLoop) {
                try FrameDraft(planned, at: bench, compression: compression, makingPayload: makesPayload)
            }
            let work = Work(draft: draft, bench: bench)
            guard await works.put(work) else {
                await abandon(work)
                break
            }
        }
        await works.finish()
    }

    private nonisolated func emit(_ planner: SourcePlanner) async throws {
        var manifest = try ManifestWriter()
        var chunkCount: UInt64 = 0
        var missing: Set<UInt32> = []
        var header = RecordBatches()
        header.append(.header(.standard))
        for message in try manifest.messages(for: header) { try await speak(message) }
        while let work = await works.take() {
            let draft = try await work.draft.get()
            for problem in draft.packed.problems { report(problem) }
            missing.formUnion(draft.packed.missing)
            try manifest.add(draft.packed.records)
            for message in draft.records { try await speak(message) }
            await count(draft.packed)
            let firstOrdinal = chunkCount
            chunkCount += UInt64(draft.packed.chunkLengths.count)
            if draft.packed.rawBytes == 0 {
                _ = await workshop.benches.put(work.bench)
            } else if awaitsAnswers {
                guard await offers.put(Offered(draft: draft, bench: work.bench, firstOrdinal: firstOrdinal)) else {
                    _ = await workshop.benches.put(work.bench)
                    return
                }
            } else {
                let message = work.bench.takeOutput()
                _ = await workshop.benches.put(work.bench)
                try await send(draft, message, firstOrdinal: firstOrdinal)
            }
        }
        await offers.finish()
        try await waitUntilResolved()
        let last = planner.finish(missing: missing)
        for problem in last.problems { report(problem) }
        await count(last)
        for message in try manifest.messages(for: last.records) { try await speak(message) }
        await frames.finish()
        try await commit(records: manifest.recordCount, manifest: try manifest.finish())
    }

    /// Sends of offered frames what the daemon does not have.
    private nonisolated func resolveOffers() async throws {
        let compression = compression
        while let offered = await offers.take() {
            let bench = offered.bench
            let had = try await answers(for: offered)
            if had.allSatisfy({ $0 }) {
                _ = await workshop.benches.put(bench)
                continue
            }
            let draft = try await workshop.run {
                var draft = offered.draft
                try draft.makePayload(leavingOut: had, at: bench, compression: compression)
                return draft
            }
            let message = bench.takeOutput()
            _ = await workshop.benches.put(bench)
            try await send(draft, message, firstOrdinal: offered.firstOrdinal)
        }
        await markResolved()
    }

    private nonisolated func send(
        _ draft: FrameDraft,
        _ frame: consuming ByteBuffer,
        firstOrdinal: UInt64
    ) async throws {
        guard let payload = draft.payload else { return }
        let number = try await nextFrame(rawBytes: payload.rawBytes)
        var message = frame
        draft.fillHeader(of: &message, payload, number: number, firstOrdinal: firstOrdinal)
        _ = await frames.put(message)
    }

    /// Frames travel on the control connection until a data connection is there.
    private nonisolated func writeOnControl() async throws {
        while let frame = await frames.take() {
            try await write(frame, on: control)
            if await hasDataConnections { return }
        }
    }

    private nonisolated func writeOnDataConnection() async throws {
        guard await isWorthMoreConnections() else { return }
        let connection: SocketConnection
        do {
            guard let opened = try await connect() else { return }
            connection = opened
        } catch {
            // One connection less: the transfer can be completed on those that are there.
            return
        }
        guard await join(connection) else { return }
        while let frame = await frames.take() {
            try await write(frame, on: connection)
        }
        connection.close()
    }

    private nonisolated func write(_ frame: consuming ByteBuffer, on connection: SocketConnection) async throws {
        let bytes = frame.readableBytes
        try await connection.send(frame)
        await countFrame(wireBytes: bytes)
        await spares.offer(frame)
    }

    private nonisolated func readControl(_ stream: MessageStream) async throws -> Committed {
        var stream = stream
        stream.received = heard
        while let message = try await stream.nextMessage() {
            switch try message.decoded() {
            case .durable(let ranges): try await markDurable(ranges)
            case .received(let bytes): await markReceived(bytes)
            case .have(let have): try await markAnswered(have)
            case .reject(let rejection):
                report(SourceProblem(path: rejection.path, kind: .rejected(rejection.cause)))
            case .committed(let committed):
                try await checkCommitted()
                return committed
            case .abort(let abort): throw TransferError.peer(abort)
            case .heartbeat: break
            default: throw TransferError.malformed(FormatError("a message that a receiver does not send"))
            }
        }
        throw TransferError.linkLost
    }

    private func tick() async throws {
        var lastBytes: UInt64 = 0
        var lastHeard = NIODeadline.now()
        while true {
            try await Task.sleep(for: .seconds(1), clock: .suspending)
            let now = NIODeadline.now()
            if heard.bytes != lastBytes {
                lastBytes = heard.bytes
                lastHeard = now
            }
            if now - lastHeard >= .seconds(TransferLimits.idleSeconds) { throw TransferError.silence }
            if now - lastSpoken >= .seconds(TransferLimits.heartbeatSeconds) {
                try await speak(ByteBuffer(.heartbeat))
            }
        }
    }

    // MARK: - State

    private func speak(_ message: ByteBuffer) async throws {
        if let failure { throw failure }
        lastSpoken = .now()
        progressNow.wireBytes += UInt64(message.readableBytes)
        try await control.send(message)
    }

    /// Waits for credit and numbers the frame.
    private func nextFrame(rawBytes: Int) async throws -> UInt64 {
        while true {
            if let failure { throw failure }
            if let number = machine.nextFrame(rawBytes: UInt64(rawBytes)) {
                emittedFrames += 1
                if emittedFrames == 2 { wake() }
                return number
            }
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    /// COMMIT goes out behind the last frame, which another task may just be writing on this very connection.
    private func commit(records: UInt64, manifest: Digest) async throws {
        while failure == nil, writtenFrames < machine.frames {
            await withCheckedContinuation { waiting.append($0) }
        }
        // A send that was stopped ends its queues early: what was emitted is not all there is.
        if let failure { throw failure }
        machine.commit()
        progressNow.isCommitting = true
        wake()
        try await speak(
            ByteBuffer(.commit(Commit(records: records, frames: machine.frames, manifest: manifest)))
        )
    }

    private func markDurable(_ ranges: [ClosedRange<UInt64>]) throws {
        try machine.markDurable(ranges)
        progressNow.durableBytes = machine.durable
        wake()
    }

    private func count(_ packed: PackedFrame) {
        progressNow.packedBytes += UInt64(packed.rawBytes)
        progressNow.files += packed.fileCount
    }

    /// Waits until every chunk of the draft is answered; true for those that are had.
    private func answers(for offered: Offered) async throws -> [Bool] {
        let lengths = offered.draft.packed.chunkLengths
        while failure == nil, machine.answered < offered.firstOrdinal + UInt64(lengths.count) {
            await withCheckedContinuation { waiting.append($0) }
        }
        if let failure { throw failure }
        let had = machine.takeHad(first: offered.firstOrdinal, count: lengths.count)
        for (length, isHad) in zip(lengths, had) where isHad { progressNow.hadBytes += UInt64(length) }
        return had
    }

    private func markAnswered(_ have: Have) throws {
        guard awaitsAnswers else { throw TransferError.malformed(FormatError("HAVE where nothing is known")) }
        do throws(FormatError) { try machine.markAnswered(have) } catch { throw TransferError.malformed(error) }
        wake()
    }

    private func markResolved() {
        hasResolvedAll = true
        wake()
    }

    private func waitUntilResolved() async throws {
        while failure == nil, !hasResolvedAll {
            await withCheckedContinuation { waiting.append($0) }
        }
        if let failure { throw failure }
    }

    private func markReceived(_ bytes: UInt64) {
        machine.markReceived(bytes)
    }

    private func checkCommitted() throws {
        try machine.checkCommitted()
    }

    private func countFrame(wireBytes: Int) {
        progressNow.wireBytes += UInt64(wireBytes)
        writtenFrames += 1
        lastSpoken = .now()
        if writtenFrames == machine.frames { wake() }
    }

    /// Waits for the second frame: a send that fits one frame is over before another connection is open.
    private func isWorthMoreConnections() async -> Bool {
        while emittedFrames < 2, failure == nil, !progressNow.isCommitting {
            await withCheckedContinuation { waiting.append($0) }
        }
        return failure == nil && emittedFrames >= 2
    }

    private var hasDataConnections: Bool { !dataConnections.isEmpty }

    private func join(_ connection: SocketConnection) -> Bool {
        guard failure == nil else {
            connection.close()
            return false
        }
        dataConnections.append(connection)
        return true
    }

    private func wake() {
        let woken = waiting
        waiting = []
        for continuation in woken { continuation.resume() }
    }

    private func fail(_ error: any Error) async -> any Error {
        let cause = failure ?? error
        failure = cause
        await end()
        return cause
    }

    private func end() async {
        failure = failure ?? CancellationError()
        for connection in dataConnections { connection.close() }
        wake()
        await frames.finish(discarding: true)
        await offers.finish()
        while let offered = await offers.take() { _ = await workshop.benches.put(offered.bench) }
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

/// Gathers the record stream: counts it, digests it, and makes messages of what is not packed by a bench.
private struct ManifestWriter: ~Copyable {
    private(set) var recordCount: UInt64 = 0
    private var digester: Digester
    private var compressor: Compressor

    init() throws {
        let digester = try Digester()
        let compressor = try Compressor(.stored)
        self.digester = digester
        self.compressor = compressor
    }

    mutating func add(_ records: RecordBatches) throws {
        for batch in records.batches {
            try batch.bytes.withSpan { (span: RawSpan) throws(CodecError) in try digester.update(span) }
            recordCount += UInt64(batch.recordCount)
        }
    }

    mutating func messages(for records: RecordBatches) throws -> [ByteBuffer] {
        try add(records)
        var messages: [ByteBuffer] = []
        for batch in records.batches {
            messages.append(try RecordsMessage.encode(batch.bytes, with: &compressor, codec: .stored))
        }
        return messages
    }

    mutating func finish() throws -> Digest { try digester.finish() }
}
