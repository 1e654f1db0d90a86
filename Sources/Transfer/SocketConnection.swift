// SPDX-License-Identifier: MIT

package import Descriptors
package import NIOCore
private import NIOPosix
private import Synchronization

/// One connection through a UNIX socket: bytes in with bounded read-ahead, bytes out one write at a time.
///
/// Usable from any task; one task receives. Closing it ends every wait. NIO does the I/O on its event loop.
package final class SocketConnection: Sendable {
    package let channel: any Channel
    private let gate: NIOLoopBound<InboundGate>
    private let rate = Mutex<SendingRate?>(nil)
    /// A limited message goes in slices, and no other one between them.
    private let turn = Turn()

    private let inputEnd: EventLoopFuture<Void>

    private init(channel: any Channel, gate: InboundGate) {
        self.channel = channel
        inputEnd = gate.ended.futureResult
        self.gate = NIOLoopBound(gate, eventLoop: channel.eventLoop)
    }

    /// Makes the connection of a fresh channel; must run on the channel's event loop, before the first read.
    package static func make(on channel: any Channel) throws -> SocketConnection {
        let gate = InboundGate(loop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHandler(gate)
        return SocketConnection(channel: channel, gate: gate)
    }

    /// Takes over a connected descriptor.
    package static func adopting(
        _ descriptor: consuming OwnedDescriptor,
        on group: any EventLoopGroup
    ) async throws -> SocketConnection {
        let raw = descriptor.relinquish()
        return try await ClientBootstrap(group: group)
            .channelOption(.autoRead, value: false)
            .channelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: TransferLimits.readBytes)
            )
            .channelOption(.maxMessagesPerRead, value: UInt(TransferLimits.readAheadBuffers))
            .withConnectedSocket(raw) { channel in
                channel.eventLoop.makeCompletedFuture { try SocketConnection.make(on: channel) }
            }
    }

    /// User id of the process at the other end, as the kernel knows it.
    package func peerUserID() async throws -> UInt32 {
        guard let options = channel as? any SocketOptionProvider else { throw TransferError.linkLost }
        let credentials: PeerCredentials = try await options.unsafeGetSocketOption(
            level: NIOBSDSocket.OptionLevel(rawValue: PeerCredentials.level),
            name: NIOBSDSocket.Option(rawValue: PeerCredentials.option)
        ).get()
        return credentials.userID
    }

    /// Connects to a listener of our own or of root; throws `noAnswer` where it is another user's.
    package static func connecting(
        to address: UnixAddress,
        on group: any EventLoopGroup
    ) async throws -> SocketConnection {
        let descriptor = try UnixSocket.connect(to: address)
        // Who listens decides: another user's socket at this place would get the data and could fake an OK.
        let peer = try UnixSocket.peerUserID(of: descriptor.rawValue)
        guard peer == ProcessContext.effectiveUserID || peer == 0 else { throw TransferError.noAnswer }
        return try await adopting(descriptor, on: group)
    }

    /// The next bytes, as many as there are; nil at the end of the stream.
    package func receive() async throws -> ByteBuffer? {
        let gate = gate
        return try await channel.eventLoop.flatSubmit { gate.value.next() }.get()
    }

    /// Holds everything that is sent from now on to the rate.
    package func limit(to rate: SendingRate?) {
        self.rate.withLock { $0 = rate }
    }

    /// Writes the bytes, returning when the kernel has them all.
    package func send(_ bytes: ByteBuffer) async throws {
        guard let rate = rate.withLock({ $0 }) else { return try await write(bytes) }
        await turn.take()
        do {
            var rest = bytes
            while let slice = rest.readSlice(length: min(rest.readableBytes, SendingRate.slice)),
                slice.readableBytes > 0
            {
                try await rate.wait(for: slice.readableBytes)
                try await write(slice)
            }
        } catch {
            await turn.give()
            throw error
        }
        await turn.give()
    }

    private func write(_ bytes: ByteBuffer) async throws {
        // A peer that does not read ends like one that says nothing: the write fails when the channel is closed.
        let timer = deadline(in: TransferLimits.idleSeconds)
        defer { timer.cancel() }
        do {
            try await channel.writeAndFlush(bytes).get()
        } catch is IOError {
            throw TransferError.linkLost
        } catch is ChannelError {
            throw TransferError.linkLost
        }
    }

    package func send(_ message: Message) async throws {
        try await send(ByteBuffer(message))
    }

    /// Closes the connection; every wait on it ends.
    ///
    /// May be called again.
    package func close() {
        channel.close(promise: nil)
    }

    /// Returns when nothing more will arrive; what has arrived may still be received.
    ///
    /// Throws `CancellationError` where the task is cancelled before.
    package func waitUntilInputEnds() async throws {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        inputEnd.cascade(to: promise)
        try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            // Whichever comes second is ignored.
            promise.fail(CancellationError())
        }
    }

    /// Sends a last message and closes behind it, waiting at most `seconds` for a peer that does not read.
    package func close(after message: Message, within seconds: Int64 = 2) async {
        let timer = deadline(in: seconds)
        defer { timer.cancel() }
        do { try await send(message) } catch {
            // The peer is gone; nothing is left to say.
        }
        close()
    }

    /// Closes the connection unless cancelled in time; absolute, whatever arrives in between.
    package func deadline(in seconds: Int64) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(in: .seconds(seconds)) { [channel] in channel.close(promise: nil) }
    }
}

/// Holds what was read until somebody asks, and reads on while that is little.
///
/// Lives on its event loop.
private final class InboundGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var arrived: CircularBuffer<ByteBuffer> = []
    private var waiting: EventLoopPromise<ByteBuffer?>?
    private var hasEnded = false
    private var isReading = false
    private var context: ChannelHandlerContext?
    private let loop: any EventLoop
    let ended: EventLoopPromise<Void>

    init(loop: any EventLoop) {
        self.loop = loop
        ended = loop.makePromise()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end()
    }
    func channelActive(context: ChannelHandlerContext) { readOn() }

    /// What arrived is handed out also when the channel is closed and gone.
    func next() -> EventLoopFuture<ByteBuffer?> {
        if let bytes = arrived.popFirst() {
            readOn()
            return loop.makeSucceededFuture(bytes)
        }
        if hasEnded { return loop.makeSucceededFuture(nil) }
        precondition(waiting == nil, "one task receives from a connection")
        let promise = loop.makePromise(of: ByteBuffer?.self)
        waiting = promise
        readOn()
        return promise.futureResult
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        if let promise = waiting {
            waiting = nil
            promise.succeed(bytes)
        } else {
            arrived.append(bytes)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        readOn()
    }

    func channelInactive(context: ChannelHandlerContext) { end() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { end() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end()
        context.close(promise: nil)
    }

    private func readOn() {
        guard let context, !isReading, !hasEnded, arrived.count < TransferLimits.readAheadBuffers else { return }
        isReading = true
        context.read()
    }

    private func end() {
        if !hasEnded { ended.succeed() }
        hasEnded = true
        waiting?.succeed(nil)
        waiting = nil
    }
}
