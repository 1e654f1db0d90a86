// SPDX-License-Identifier: MIT

package import Archive
private import Codecs
private import Descriptors
private import NIOCore
private import NIOPosix

/// The receiving end of one transfer: carries out what `ReceiverStateMachine` decides.
///
/// Frames may be handed in by any number of connections at once; records come from the control connection alone.
/// A link that breaks suspends the transfer, and the next one goes on where it stood; whatever else fails, fails the
/// transfer: every wait ends, and `run` throws the first cause.
package actor Receiver {
    /// Gives what is complete its final names; called once, when everything is verified and synced.
    package typealias Publish = @Sendable (ArchiveIndex, Staging, Recall?) async throws -> Committed

    /// How a link ended.
    package enum Outcome: Sendable {
        case committed(Committed)
        /// The link broke; everything that arrived is durable, and `beginEpoch` goes on.
        case suspended
    }

    /// The connections of one epoch.
    private final class Link: Sendable {
        let control: SocketConnection
        let received = ReceivedCount()

        init(_ control: SocketConnection) { self.control = control }
    }

    private let staging: Staging
    private let workshop: Workshop
    private let publish: Publish
    private var machine: ReceiverStateMachine
    /// What the same source delivered before; nil where nothing is known of it.
    private var recall: Recall?
    /// The sender was told that something is known, and waits for answers.
    private let answersOffers: Bool
    private let space: (any SpaceReservation)?
    /// Seconds of silence that end a link.
    private let patience: Int64
    private var manifest: Digester
    private var decompressor: Decompressor

    private var failure: (any Error)?
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var firstVerified: NIODeadline?
    private var isSyncDue = false
    private var isSyncing = false
    private var isPublishing = false
    private var isFinished = false
    /// No task of the transfer runs.
    private var isSuspended = false
    /// Nil while it is broken.
    private var link: Link?
    private var reported = Received(bytes: 0, records: 0)
    private var lastHeard = NIODeadline.now()
    private var lastReported = NIODeadline.now()
    private var lastSpoken = NIODeadline.now()
    private var dataConnections: [SocketConnection] = []
    /// A data connection has joined this link.
    private var hasBranched = false
    /// Pieces of work on the staging folder that are under way.
    private var jobs = 0

    package init(
        staging: Staging,
        workshop: Workshop,
        recall: Recall?,
        answersOffers: Bool,
        space: (any SpaceReservation)? = nil,
        patience: Int64 = TransferLimits.idleSeconds,
        publish: @escaping Publish
    ) throws {
        self.staging = staging
        self.workshop = workshop
        self.publish = publish
        self.recall = recall
        self.answersOffers = answersOffers
        self.space = space
        self.patience = patience
        machine = ReceiverStateMachine(credit: TransferLimits.creditBytes, foldsNames: staging.foldsNames)
        manifest = Digester()
        decompressor = try Decompressor()
    }

    // MARK: - Running

    /// Serves the control connection until everything is published or the link breaks.
    ///
    /// `beginning` is what a transfer that goes on tells first.
    package nonisolated func run(_ stream: MessageStream, beginning: Have? = nil) async throws -> Outcome {
        let link = Link(stream.connection)
        await begin(link)
        return try await withThrowingTaskGroup(of: Outcome?.self) { group in
            group.addTask {
                do {
                    if let beginning { try await self.say(beginning) }
                    try await self.serve(link, stream)
                    return nil
                } catch let error as TransferError where error.breaksLink {
                    return try await self.suspend(link)
                }
            }
            // Of a transfer that is suspended the link's own task tells, whichever of them ends first.
            group.addTask {
                do { try await self.syncWhenDue() } catch is CancellationError { return nil }
                return nil
            }
            group.addTask {
                do { return .committed(try await self.publishWhenComplete()) } catch is CancellationError { return nil }
            }
            do {
                while let result = try await group.next() {
                    guard let outcome = result else { continue }
                    if case .committed = outcome {
                        await finish()
                        // The peer closes first; one that does not is closed.
                        _ = link.control.deadline(in: TransferLimits.farewellSeconds)
                    }
                    group.cancelAll()
                    return outcome
                }
                throw TransferError.linkLost
            } catch {
                let cause = await fail(error)
                group.cancelAll()
                if let abort = Self.abort(for: cause) { await link.control.close(after: .abort(abort)) }
                link.control.close()
                await tellData()
                throw cause
            }
        }
    }

    private nonisolated func serve(_ link: Link, _ stream: MessageStream) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.readControl(stream, link) }
            group.addTask { try await self.tick(link) }
            group.addTask {
                // Also while the reader waits for something and does not read; else it comes to the end by itself.
                try await link.control.waitUntilInputEnds()
                try await Task.sleep(for: .seconds(1), clock: .suspending)
                guard await self.isFinished else {
                    await self.letGo(of: link)
                    throw TransferError.linkLost
                }
            }
            defer { group.cancelAll() }
            do {
                // The reader returns when everything is published.
                try await group.next()
            } catch {
                if case TransferError.silence = error, let abort = TransferError.silence.abort {
                    await link.control.close(after: .abort(abort))
                }
                if (error as? TransferError)?.breaksLink == true {
                    link.control.close()
                    // A reader that waits for records does not read, and would wait for ever.
                    await self.letGo(of: link)
                }
                throw error
            }
        }
    }

    /// Serves a data connection until it ends; a failure of the transfer ends it too.
    package nonisolated func serve(_ stream: MessageStream) async throws {
        guard let link = await join(stream.connection) else { return }
        var stream = stream
        stream.received = link.received
        do {
            while let message = try await stream.nextMessage(admit: { try await self.admit($0, link) }) {
                guard message.kind == .frame else {
                    if message.kind == .heartbeat { continue }
                    throw TransferError.malformed(FormatError("only frames travel on a data connection"))
                }
                try await take(frame: message.body, link)
                stream.recycle(message)
            }
            await leave(stream.connection)
        } catch let error as TransferError where error.breaksLink {
            // What it swallowed is sent again on the next link.
            link.control.close()
        } catch is CancellationError {
            // The transfer was suspended while a frame waited: it has not failed.
            link.control.close()
        } catch {
            _ = await fail(error)
            await waitUntilTold()
            throw error
        }
    }

    /// Ends the transfer from outside: the daemon stops.
    package func stop(_ abort: Abort) {
        _ = fail(TransferError.local(abort))
    }

    /// Breaks the link from outside: its sender came anew.
    package func loseLink() {
        link?.control.close()
    }

    /// Begins anew for the next link of a suspended transfer: what its sender is told of what is here.
    package func beginEpoch() -> (taken: Opened.Taken, have: Have) {
        isSuspended = false
        isSyncDue = false
        let have = machine.beginEpoch()
        return (Opened.Taken(records: machine.index.recordCount, chunks: have.answered), have)
    }

    private nonisolated func readControl(_ stream: MessageStream, _ link: Link) async throws {
        var stream = stream
        stream.received = link.received
        var isCommitted = false
        while let message = try await stream.nextMessage() {
            if isCommitted, message.kind != .heartbeat, message.kind != .abort {
                throw TransferError.malformed(FormatError("a message behind COMMIT"))
            }
            isCommitted = message.kind == .commit || isCommitted
            switch message.kind {
            case .records: try await take(records: message.body)
            case .frame:
                try await take(frame: message.body, link)
                stream.recycle(message)
            case .heartbeat: break
            case .commit, .abort:
                switch try message.decoded() {
                case .commit(let commit): try await take(commit)
                case .abort(let abort): throw TransferError.peer(abort)
                default: break
                }
            default: throw TransferError.malformed(FormatError("a message that a sender does not send"))
            }
        }
        guard await isFinished else { throw TransferError.linkLost }
    }

    private func begin(_ next: Link) {
        link = next
        hasBranched = false
        reported.bytes = 0
        lastHeard = .now()
        lastSpoken = .now()
    }

    /// Ends a link: frames that are being written are finished and synced, others forgotten.
    ///
    /// Returns nil where the transfer ends by itself: everything was here, and is published.
    private func suspend(_ broken: Link) async throws -> Outcome? {
        if link === broken { link = nil }
        endConnections()
        isSyncDue = true
        try await wait { !self.machine.isWriting && !self.machine.hasVerified && !self.isSyncing }
        guard !isPublishing, !machine.isReadyToPublish else { return nil }
        isSuspended = true
        wake()
        return .suspended
    }

    /// Ends what waits for something to come on a link that is closed.
    private func letGo(of closed: Link) {
        if link === closed { link = nil }
        wake()
    }

    private func join(_ connection: SocketConnection) -> Link? {
        guard let link, failure == nil, !isFinished else {
            connection.close()
            return nil
        }
        dataConnections.append(connection)
        hasBranched = true
        return link
    }

    private func leave(_ connection: SocketConnection) {
        dataConnections.removeAll { $0 === connection }
        checkThatFramesCanCome()
    }

    /// Behind COMMIT frames come on data connections alone.
    ///
    /// Where the last of them has ended it may have swallowed some, which come on the next link; without any there is
    /// nothing under way.
    private func checkThatFramesCanCome() {
        guard machine.hasCommit, dataConnections.isEmpty, machine.isMissingFrames else { return }
        if hasBranched {
            link?.control.close()
        } else {
            _ = fail(TransferError.malformed(FormatError("frames that COMMIT counts never came")))
        }
    }

    /// Data connections that are attached.
    package var attachedConnections: Int { dataConnections.count }

    // MARK: - Records and frames

    private func take(records body: ByteBuffer) async throws {
        let bytes: [UInt8]
        do {
            bytes = try RecordsMessage.decode(body, with: &decompressor)
        } catch let error as CodecError {
            throw TransferError.malformed(FormatError(error.description))
        }
        let listedBefore = machine.index.listedBytes
        let (steps, offers) = try bytes.withSpan { (span: RawSpan) throws in
            try manifest.update(span)
            return try machine.take(records: span, collectingOffers: answersOffers)
        }
        if steps.contains(where: { if case .discard = $0 { true } else { false } }) {
            try await wait { !self.machine.isWriting }
        }
        let listed = machine.index.listedBytes - listedBefore
        let staging = staging
        jobs += 1
        defer { endJob() }
        // Of what may be there already, only the answer tells how much will be written.
        let space = answersOffers ? nil : space
        let refusals = try await workshop.run {
            try space?.reserve(listed)
            try bytes.withSpan { (span: RawSpan) throws(StagingError) in try staging.keep(records: span) }
            return try staging.perform(steps)
        }
        // Void before frames may be written: one of a refused entry would fall on what has its name.
        for refusal in refusals { machine.refuse(refusal.entry) }
        machine.markStepsDone()
        try await reject(refusals)
        if answersOffers { try await answer(offers, listed: listed) }
        wake()
    }

    /// Answers what records have offered; copying and comparing is the work of a bench.
    private func answer(_ offers: [Offer], listed: UInt64) async throws {
        guard let memory = recall, let bench = await workshop.benches.take() else {
            throw TransferError.local(.stopping)
        }
        jobs += 1
        defer { endJob() }
        let (staging, space) = (staging, space)
        let result: (recall: Recall, answer: Recall.Answer)
        do {
            result = try await workshop.run {
                var memory = memory
                let answer = try memory.answer(
                    offers,
                    staging: staging,
                    slab: bench.slab,
                    scratch: bench.scratch,
                    digester: &bench.digester
                )
                let copied = answer.staged.reduce(0) { $0 + UInt64($1.length) }
                try space?.reserve(listed - min(answer.bytes, listed) + copied)
                space?.noteWritten(copied)
                return (memory, answer)
            }
        } catch {
            _ = await workshop.benches.put(bench)
            throw error
        }
        _ = await workshop.benches.put(bench)
        recall = result.recall
        let have = machine.take(result.answer)
        if machine.hasVerified { firstVerified = firstVerified ?? .now() }
        try await say(have)
    }

    /// A message holds 5,000 ranges; more are cut over several, the last one carrying what is answered.
    private func say(_ have: Have) async throws {
        guard have.answered > 0 else { return }
        var ranges = have.ranges[...]
        while ranges.count > 5_000 {
            let part = Array(ranges.prefix(5_000))
            ranges = ranges.dropFirst(5_000)
            await say(.have(Have(answered: (part.last?.upperBound ?? 0) + 1, ranges: part)))
        }
        await say(.have(Have(answered: have.answered, ranges: Array(ranges))))
    }

    /// Waits until a frame on a data connection can be written: before that it is not read.
    private func admit(_ frame: FrameHeader, _ link: Link) async throws {
        try await wait { self.link !== link || self.machine.canBegin(frame) }
    }

    private func take(frame body: ByteBuffer, _ link: Link) async throws {
        var payload = body
        let header = try body.withReadableSpan { (span: RawSpan) throws(FormatError) in
            var reader = ByteReader(span)
            return try FrameHeader(from: &reader)
        }
        payload.moveReaderIndex(forwardBy: FrameHeader.byteCount(runs: header.runs.count))
        var begun: [ChunkTarget]?
        try await wait {
            // Records that it waits for come on its own link or never.
            guard self.link === link else { return true }
            begun = try self.machine.begin(header)
            return begun != nil
        }
        guard let targets = begun else { return }
        guard let bench = await workshop.benches.take() else { throw TransferError.local(.stopping) }
        jobs += 1
        defer { endJob() }
        let job = FrameJob(staging: staging, codec: header.codec, payload: payload, targets: targets)
        let refusals: [Staging.Refusal]
        do {
            refusals = try await workshop.run { try job.run(at: bench) }
        } catch {
            _ = await workshop.benches.put(bench)
            throw error
        }
        _ = await workshop.benches.put(bench)
        space?.noteWritten(targets.reduce(0) { $0 + UInt64($1.length) })
        machine.finish(header, targets: targets, refused: Set(refusals.map { $0.entry }))
        firstVerified = firstVerified ?? .now()
        if machine.verifiedBytes >= TransferLimits.commitBytes || syncsAtOnce { isSyncDue = true }
        wake()
        try await reject(refusals)
    }

    private func take(_ commit: Commit) throws {
        try machine.take(commit)
        isSyncDue = true
        wake()
        checkThatFramesCanCome()
    }

    private func reject(_ refusals: [Staging.Refusal]) async throws {
        for refusal in refusals {
            machine.refuse(refusal.entry)
            let rejection = Rejection(
                entry: machine.index.entries[refusal.entry].number,
                cause: refusal.cause,
                path: machine.index.path(of: refusal.entry)
            )
            await say(.reject(rejection))
        }
    }

    // MARK: - Durability

    /// Nothing more is to come that a sync could wait for: behind COMMIT, and while a link that broke is wound up, when
    /// no clock of a link makes a sync due.
    private var syncsAtOnce: Bool { machine.hasCommit || link == nil }

    /// Syncs what is verified and acknowledges it, beside the receiving of what comes next.
    private func syncWhenDue() async throws {
        while true {
            try await wait { self.isSyncDue && self.machine.hasVerified }
            try await sync()
        }
    }

    /// Data → sync → journal → sync of the journal → acknowledgement.
    private func sync() async throws {
        let bytes = machine.verifiedBytes
        let (frames, chunks) = machine.takeVerified()
        isSyncing = true
        firstVerified = nil
        isSyncDue = syncsAtOnce
        let staging = staging
        jobs += 1
        defer { endJob() }
        try await workshop.serial.runIfActive {
            try staging.synchronize()
            try staging.journal(chunks)
        }
        let ranges = machine.markDurable(frames, bytes: bytes)
        isSyncing = false
        wake()
        if !ranges.isEmpty { await say(.durable(ranges)) }
    }

    private func endJob() {
        jobs -= 1
        wake()
    }

    /// After a failure: waits until nothing writes to the staging folder any more.
    package func settle() async {
        while jobs > 0 { await withCheckedContinuation { waiting.append($0) } }
    }

    /// After a failure: what is verified is journalled, so that the next attempt need not hash it again.
    package func salvage() async {
        guard machine.hasVerified else { return }
        let (_, chunks) = machine.takeVerified()
        let staging = staging
        do {
            try await workshop.serial.runIfActive {
                try staging.synchronize()
                try staging.journal(chunks)
            }
        } catch {
            // It costs hashing or sending again, nothing else.
        }
    }

    private func publishWhenComplete() async throws -> Committed {
        try await wait { self.machine.isReadyToPublish }
        isPublishing = true
        try machine.checkComplete(manifest: try manifest.finish())
        let staging = staging
        let index = machine.index
        let refusals = try await workshop.run { try staging.finish(index) }
        try await reject(refusals)
        try await workshop.serial.runIfActive { try staging.synchronize() }
        let committed = try await publish(machine.index, staging, recall)
        isFinished = true
        // Before the answer, so that whoever got it finds nothing left over; a failure here fails nothing.
        do {
            try await workshop.run { try staging.remove() }
        } catch {
            // It is collected when it has expired.
        }
        await say(.committed(committed))
        return committed
    }

    // MARK: - Time

    /// Every 100 ms: RECEIVED, heartbeats, the delay of a sync, and silence; RECEIVED sooner while much arrives.
    private func tick(_ link: Link) async throws {
        while true {
            let isBusy = NIODeadline.now() - lastHeard < .milliseconds(Int64(2 * TransferLimits.receivedInterval))
            let pause = isBusy ? TransferLimits.promptInterval : TransferLimits.receivedInterval
            try await Task.sleep(for: .milliseconds(pause), clock: .suspending)
            let now = NIODeadline.now()
            let received = Received(bytes: link.received.bytes, records: machine.index.recordCount)
            let isDue = now - lastReported >= .milliseconds(Int64(TransferLimits.receivedInterval))
            if received != reported, isDue || received.bytes >= reported.bytes + TransferLimits.promptBytes {
                reported = received
                lastReported = now
                lastHeard = now
                await say(.received(received))
            }
            if now - lastSpoken >= .seconds(TransferLimits.heartbeatSeconds) { await say(.heartbeat) }
            if now - lastHeard >= .seconds(patience) { throw TransferError.silence }
            if let firstVerified, now - firstVerified >= .milliseconds(Int64(TransferLimits.commitDelay)) {
                isSyncDue = true
                wake()
            }
        }
    }

    /// Says it on the link that is there; one that breaks is noticed by its reader.
    private func say(_ message: Message) async {
        guard let control = link?.control else { return }
        lastSpoken = .now()
        do { try await control.send(message) } catch { control.close() }
    }

    // MARK: - Waiting and failing

    /// Waits until the condition holds; it is asked again after every change.
    private func wait(until condition: () throws -> Bool) async throws {
        while true {
            if let failure { throw failure }
            if isSuspended { throw CancellationError() }
            if try condition() { return }
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func wake() {
        let woken = waiting
        waiting = []
        for continuation in woken { continuation.resume() }
    }

    /// Notes the first failure and ends every wait; returns that first failure.
    private func fail(_ error: any Error) -> any Error {
        let cause = failure ?? error
        failure = cause
        wake()
        return cause
    }

    /// The control connection has said why the transfer failed: only now data connections end, whose end alone would
    /// look like a link that broke.
    private func tellData() {
        link = nil
        endConnections()
    }

    /// Waits until the control connection, if there is one, has said why the transfer failed.
    private func waitUntilTold() async {
        while link != nil, !isFinished { await withCheckedContinuation { waiting.append($0) } }
    }

    private func finish() {
        isFinished = true
        failure = failure ?? TransferError.local(.stopping)
        endConnections()
    }

    private func endConnections() {
        for connection in dataConnections { connection.close() }
        dataConnections = []
        wake()
    }

    /// What the sender is told of a failure: a code and a sentence without a path or a figure of the laptop.
    private static func abort(for error: any Error) -> Abort? {
        switch error {
        case let error as TransferError: error.abort
        case let error as FormatError: TransferError.malformed(error).abort
        case let error as StagingError: Abort(error)
        case let abort as Abort: abort
        case is CancellationError: .stopping
        default: Abort(.internal, "the laptop's daemon failed")
        }
    }
}
