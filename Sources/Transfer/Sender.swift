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
        let made: EventLoopFuture<MadeFrame>
        let bench: Workbench
    }

    private let control: SocketConnection
    private let workshop: Workshop
    private let compression: Compression
    private let channels: Int
    private let connect: Connect
    private let report: @Sendable (SourceProblem) -> Void
    private let works: BoundedQueue<Work>
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
        works = BoundedQueue(capacity: workshop.benchCount)
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
                if let abort = (cause as? TransferError)?.abort { await control.close(after: .abort(abort)) }
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
        while let bench = await workshop.benches.take() {
            guard let planned = try await workshop.serial.runIfActive({ planner.next(into: bench.slab) }) else {
                _ = await workshop.benches.put(bench)
                break
            }
            if let spare = await spares.takeIfAny() { bench.output = spare }
            let made = workshop.workers.runIfActive(eventLoop: control.channel.eventLoop) {
                try MadeFrame(planned, at: bench, compression: compression)
            }
            let work = Work(made: made, bench: bench)
            guard await works.put(work) else {
                await abandon(work)
                break
            }
        }
        await works.finish()
    }

    private nonisolated func emit(_ planner: SourcePlanner) async throws {
        var manifest = try Digester()
        var compressor = try Compressor(.stored)
        var recordCount: UInt64 = 0
        var chunkCount: UInt64 = 0
        var missing: Set<UInt32> = []
        var header = RecordBatches()
        header.append(.header(.standard))
        for batch in header.batches {
            try batch.bytes.withSpan { (span: RawSpan) throws(CodecError) in try manifest.update(span) }
            recordCount += UInt64(batch.recordCount)
            try await speak(RecordsMessage.encode(batch.bytes, with: &compressor, codec: .stored))
        }
        while let work = await works.take() {
            let made = try await work.made.get()
            var frame = made.isFrame ? work.bench.takeOutput() : nil
            _ = await workshop.benches.put(work.bench)
            for problem in made.packed.problems { report(problem) }
            missing.formUnion(made.packed.missing)
            for (batch, message) in zip(made.packed.records.batches, made.records) {
                try batch.bytes.withSpan { (span: RawSpan) throws(CodecError) in try manifest.update(span) }
                recordCount += UInt64(batch.recordCount)
                try await speak(message)
            }
            guard frame != nil else { continue }
            let number = try await nextFrame(rawBytes: made.packed.rawBytes, files: made.packed.fileCount)
            let ordinal = chunkCount
            chunkCount += UInt64(made.packed.chunkCount)
            guard var message = frame.take() else { continue }
            made.fillHeader(of: &message, number: number, firstOrdinal: ordinal)
            guard await frames.put(message) else { return }
        }
        let last = planner.finish(missing: missing)
        for problem in last.problems { report(problem) }
        for batch in last.records.batches {
            try batch.bytes.withSpan { (span: RawSpan) throws(CodecError) in try manifest.update(span) }
            recordCount += UInt64(batch.recordCount)
            try await speak(RecordsMessage.encode(batch.bytes, with: &compressor, codec: .stored))
        }
        await frames.finish()
        try await commit(records: recordCount, manifest: try manifest.finish())
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
        lastSpoken = .now()
        progressNow.wireBytes += UInt64(message.readableBytes)
        try await control.send(message)
    }

    /// Waits for credit and numbers the frame.
    private func nextFrame(rawBytes: Int, files: Int) async throws -> UInt64 {
        while true {
            if let failure { throw failure }
            if let number = machine.nextFrame(rawBytes: UInt64(rawBytes)) {
                progressNow.packedBytes += UInt64(rawBytes)
                progressNow.files += files
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
        await works.finish()
        while let work = await works.take() { await abandon(work) }
    }

    /// Waits for a job whose frame nobody wants any more, so that its bench can be lent again.
    private nonisolated func abandon(_ work: Work) async {
        do { _ = try await work.made.get() } catch {
            // The send has failed already.
        }
        _ = await workshop.benches.put(work.bench)
    }
}

/// A frame that was packed and compressed; its number and ordinals are filled in when it is its turn.
private struct MadeFrame: Sendable {
    let packed: PackedFrame
    let records: [ByteBuffer]
    /// The bench's output is a FRAME message with room for its header in front; else there are only records.
    let isFrame: Bool
    private let codec: Codec
    private static let prefixBytes = 8 + FrameHeader.byteCount(runs: 1)

    init(_ planned: PlannedFrame, at bench: Workbench, compression: Compression) throws {
        packed = try planned.pack(into: bench.slab, digester: &bench.digester)
        try bench.compressor.select(compression)
        let codec = compression.codec
        records = try packed.records.batches.map {
            try RecordsMessage.encode($0.bytes, with: &bench.compressor, codec: codec)
        }
        guard packed.rawBytes > 0 else {
            isFrame = false
            self.codec = .stored
            return
        }
        isFrame = true
        bench.output.clear()
        bench.output.reserveCapacity(Self.prefixBytes + bench.slab.capacity)
        bench.output.writeRepeatingByte(0, count: Self.prefixBytes)
        var packedBytes: Int?
        let raw = 0..<packed.rawBytes
        if codec != .stored {
            // Room for one byte less than the raw size is all that a compressed payload may take.
            packedBytes = try bench.slab.withBytes(raw) { (input: RawSpan) throws in
                try bench.output.writeSpan(atMost: raw.count) { (output: inout MutableRawSpan) throws(CodecError) in
                    try bench.compressor.compress(input, into: &output)
                }
            }
        }
        if packedBytes == nil {
            bench.slab.withBytes(raw) { input in
                unsafe input.withUnsafeBytes { _ = unsafe bench.output.writeBytes($0) }
            }
        }
        self.codec = packedBytes == nil ? .stored : codec
    }

    func fillHeader(of message: inout ByteBuffer, number: UInt64, firstOrdinal: UInt64) {
        let header = FrameHeader(
            number: number,
            codec: codec,
            runs: [firstOrdinal...(firstOrdinal + UInt64(packed.chunkCount) - 1)]
        )
        var bytes: [UInt8] = []
        bytes.append(u32: UInt32(message.readableBytes - 8))
        bytes.append(u32: UInt32(MessageKind.frame.rawValue))
        header.encode(to: &bytes)
        message.setBytes(bytes, at: message.readerIndex)
    }
}

extension Workbench {
    /// Hands the message over; the bench keeps none.
    fileprivate func takeOutput() -> ByteBuffer {
        let message = output
        output = ByteBuffer()
        return message
    }
}

extension ByteBuffer {
    /// Lets `body` write at most `count` bytes at the end; nil from it leaves the buffer as it was.
    fileprivate mutating func writeSpan<E: Error>(
        atMost count: Int,
        _ body: (inout MutableRawSpan) throws(E) -> Int?
    ) throws(E) -> Int? {
        var result: Result<Int?, E> = .success(nil)
        unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: count) { raw in
            var span = unsafe UnsafeMutableRawBufferPointer(rebasing: raw[..<count]).mutableBytes
            do throws(E) { result = .success(try body(&span)) } catch { result = .failure(error) }
            if case .success(let written?) = result { return written }
            return 0
        }
        return try result.get()
    }
}
