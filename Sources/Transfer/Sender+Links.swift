// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import NIOCore

/// The links of a send, one after the other: what travels on each, and what the next one takes up.
extension Sender {
    nonisolated func serveLinks() async throws -> Committed {
        var next = firstLink
        while true {
            do {
                if let taken = next.opened.taken { next = try await resume(on: next, taken) }
                return try await serve(next)
            } catch {
                next.control.close()
                if let failure = await failure { throw failure }
                guard let relink, (error as? TransferError)?.isInterruption == true else { throw error }
                await breakLink()
                next = try await relink(error)
                guard next.opened.taken != nil else { throw TransferForgotten(link: next) }
            }
        }
    }

    /// Reads and writes on one link until everything is committed; throws when the link breaks.
    nonisolated func serve(_ link: SenderLink) async throws -> Committed {
        let (epoch, frames) = await begin(link)
        let heard = ReceivedCount()
        return try await withThrowingTaskGroup(of: Committed?.self) { group in
            group.addTask { try await self.readControl(link.stream, heard) }
            group.addTask {
                try await self.writeOnControl(link, frames, epoch)
                return nil
            }
            for _ in 0..<channels {
                group.addTask {
                    try await self.writeOnDataConnection(link, frames, epoch)
                    return nil
                }
            }
            group.addTask {
                try await self.tick(heard)
                return nil
            }
            do {
                while let result = try await group.next() {
                    guard let committed = result else { continue }
                    group.cancelAll()
                    await breakLink()
                    return committed
                }
                throw TransferError.linkLost
            } catch {
                group.cancelAll()
                await tell(failure ?? error, on: link)
                await breakLink()
                throw error
            }
        }
    }

    /// Says why nothing more comes; a daemon that is gone, or has said so itself, is told nothing.
    nonisolated func tell(_ error: any Error, on link: SenderLink) async {
        let told = (error as? FormatError).map(TransferError.malformed) ?? error as? TransferError
        guard let abort = told?.abort else { return }
        let timer = link.control.deadline(in: 2)
        await link.pace.finish()
        timer.cancel()
        await link.control.close(after: .abort(abort))
    }

    /// Hears what the daemon has, gives it the records that it lacks, and has the lost chunks read again.
    func resume(on link: SenderLink, _ taken: Opened.Taken) async throws -> SenderLink {
        var stream = link.stream
        var present: [ClosedRange<UInt64>] = []
        var answered: UInt64 = 0
        while answered < taken.chunks {
            guard let message = try await stream.nextMessage() else { throw TransferError.linkLost }
            switch try message.decoded() {
            case .have(let have):
                guard have.answered > answered, have.ranges.first.map({ $0.lowerBound >= answered }) ?? true else {
                    throw TransferError.malformed(FormatError("HAVE that does not go on"))
                }
                present.append(contentsOf: have.ranges)
                answered = have.answered
            case .abort(let abort): throw TransferError.peer(abort)
            case .received, .heartbeat: break
            default: throw TransferError.malformed(FormatError("the beginning of a new epoch"))
            }
        }
        try confirm(taken.records)
        let underWay = machine.beginEpoch(
            credit: min(link.opened.credit, TransferLimits.creditBytes),
            answered: answered,
            present: present
        )
        for chunk in underWay.arrived { chunk.chunk.letGo() }
        let lost = underWay.lost.filter { $0.chunk.origin.map { !retracted.contains($0.number) } ?? true }
        guard lost.allSatisfy(\.chunk.canBeReadAgain) else { throw TransferError.sourceGone }
        progressNow.durableBytes = machine.durable
        fetches.append(contentsOf: ChunkFetch.fetches(of: lost))
        for records in unconfirmed { try await link.pace.say(records.message, inWindow: false) }
        return SenderLink(link, readOnFrom: stream)
    }

    func begin(_ link: SenderLink) -> (epoch: Int, frames: BoundedQueue<ByteBuffer>) {
        epoch += 1
        self.link = link
        frames = BoundedQueue(capacity: TransferLimits.readyFrames)
        writtenFrames = 0
        lastSpoken = .now()
        wake()
        return (epoch, frames)
    }

    /// Lets every task of the link end, each of which waits for one of these.
    ///
    /// What they were at is taken up on the next link.
    func breakLink() async {
        guard let broken = link else { return }
        link = nil
        broken.control.close()
        for connection in dataConnections { connection.close() }
        dataConnections = []
        wake()
        await frames.finish(discarding: true)
        await broken.pace.finish()
    }

    /// Frames travel on the control connection until a data connection is there.
    nonisolated func writeOnControl(
        _ link: SenderLink,
        _ frames: BoundedQueue<ByteBuffer>,
        _ epoch: Int
    ) async throws {
        while let frame = await nextFrame(of: frames, link.pace) {
            try await write(frame, on: link.control, link.pace, epoch)
            if await hasDataConnections { return }
        }
    }

    /// The next frame once it may be begun; nil when there are no more.
    nonisolated private func nextFrame(of frames: BoundedQueue<ByteBuffer>, _ pace: LinkPace) async -> ByteBuffer? {
        await pace.waitToBegin()
        let frame = await frames.take()
        if frame == nil { await pace.pass() }
        return frame
    }

    nonisolated func writeOnDataConnection(
        _ link: SenderLink,
        _ frames: BoundedQueue<ByteBuffer>,
        _ epoch: Int
    ) async throws {
        guard await isWorthMoreConnections(epoch) else { return }
        let connection: SocketConnection
        do {
            guard let opened = try await link.connect() else { return }
            connection = opened
        } catch {
            // One connection less: the transfer can be completed on those that are there.
            return
        }
        guard await join(connection, epoch) else { return }
        while let frame = await nextFrame(of: frames, link.pace) {
            try await write(frame, on: connection, link.pace, epoch)
        }
        connection.close()
    }

    nonisolated func write(
        _ frame: consuming ByteBuffer,
        on connection: SocketConnection,
        _ pace: LinkPace,
        _ epoch: Int
    ) async throws {
        let bytes = frame.readableBytes
        try await pace.write(frame, on: connection)
        await countFrame(wireBytes: bytes, epoch)
        if frame.storageCapacity >= Workbench.frameBytes { await spares.offer(frame) }
    }

    nonisolated func readControl(_ stream: MessageStream, _ heard: ReceivedCount) async throws -> Committed {
        var stream = stream
        stream.received = heard
        while let message = try await stream.nextMessage() {
            switch try message.decoded() {
            case .durable(let ranges): try await markDurable(ranges)
            case .received(let received): try await markReceived(received)
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

    func tick(_ heard: ReceivedCount) async throws {
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
                await say(ByteBuffer(.heartbeat))
            }
        }
    }
}
