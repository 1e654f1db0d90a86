// SPDX-License-Identifier: MIT

private import Archive
private import Codecs
package import Descriptors
private import Logging
private import NIOCore
private import NIOPosix
private import Transfer
private import UnixSignals

/// The laptop's daemon: accepts connections on two sockets and serves each in a task of its own.
///
/// One event loop does the socket I/O, a `Workshop` the blocking work. Peers come through `socket`; administration
/// comes through `control`, a socket that is never forwarded.
package struct Daemon: Sendable {
    /// Seconds that an unfinished transfer is kept.
    private static let stagingLifetime: Int64 = 7 * 86_400

    private let configuration: DaemonConfiguration
    private let logger: Logger
    private let logFile: LogFile
    private let inbox: Inbox
    private let suspects: Suspects

    package init(_ configuration: DaemonConfiguration, inbox: Inbox, suspects: Suspects, logFile: LogFile) {
        self.configuration = configuration
        self.inbox = inbox
        self.suspects = suspects
        self.logFile = logFile
        logger = Logger(label: "rtun") { logFile.handler(label: $0) }
    }

    /// Serves until SIGTERM, SIGINT, `STOP` on the control socket, or the end of `supervisor`.
    ///
    /// `ready` is called once, when connections are accepted.
    package func run(
        socket: consuming OwnedDescriptor,
        control: consuming OwnedDescriptor,
        supervisor: consuming OwnedDescriptor,
        ready: @escaping @Sendable () -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let workshop = try await Workshop(
            compression: .stored,
            workers: configuration.isSingleThreaded ? 1 : nil
        )
        let registry = TransferRegistry()
        let opener = Opener()
        let delivery = Delivery(inbox: inbox, opener: opener, shelf: ReceiptShelf(), workshop: workshop)
        let notices = NoticeBoard(notifier: Notifier(), logger: logger)
        let service = ConnectionService(
            configuration: configuration,
            inbox: inbox,
            delivery: delivery,
            workshop: workshop,
            registry: registry,
            suspects: suspects,
            notices: notices,
            arrivals: ArrivalBoard(notices: notices, opener: opener, inboxPath: inbox.path),
            logger: logger
        )
        let stop = StopSignal()
        delivery.removeOldViews()
        for transfer in suspects.setAside {
            logger.error("transfer \(transfer) ran at three crashes in a row and is refused")
            Staging.setAside(in: inbox.directory, containing: "\(transfer)-")
        }
        for failure in delivery.finishInterrupted() {
            logger.error("an interrupted delivery cannot be completed yet: \(failure.name): \(failure.error)")
        }
        Staging.removeAbandoned(in: inbox.directory, olderThan: Self.stagingLifetime)

        let peers = try await Self.listen(on: socket, group)
        let administrators = try await Self.listen(on: control, group)
        let link = try await SocketConnection.adopting(supervisor, on: group)
        logger.info("listening", metadata: ["socket": "\(configuration.socketPath)", "inbox": "\(inbox.path)"])
        ready()

        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await Self.serve(peers) { await service.serve($0) } }
            tasks.addTask {
                await Self.serve(administrators) { connection in
                    await AdministrationService(registry: registry, inbox: inbox, stop: stop).serve(connection)
                }
            }
            tasks.addTask {
                for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup) {
                    if signal == .sighup { logFile.reopen() } else { await stop.fire() }
                }
            }
            tasks.addTask {
                // Ends with the supervisor, whatever becomes of it: nobody else holds the lock for this process.
                while let bytes = try? await link.receive(), bytes.readableBytes >= 0 {}
                await stop.fire()
            }
            await stop.wait()
            logger.info("stopping")
            await registry.stopAll(.stopping)
            for _ in 0..<40 where await registry.count > 0 {
                try? await Task.sleep(for: .milliseconds(50))
            }
            tasks.cancelAll()
            link.close()
            peers.channel.close(promise: nil)
            administrators.channel.close(promise: nil)
        }
        await workshop.shutDown()
        try await group.shutdownGracefully()
    }

    private typealias Listener = NIOAsyncChannel<SocketConnection, Never>

    private static func listen(
        on descriptor: consuming OwnedDescriptor,
        _ group: MultiThreadedEventLoopGroup
    ) async throws -> Listener {
        let raw = descriptor.relinquish()
        return try await ServerBootstrap(group: group)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: TransferLimits.readBytes)
            )
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .bind(raw) { channel in
                channel.eventLoop.makeCompletedFuture { try SocketConnection.make(on: channel) }
            }
    }

    private static func serve(
        _ listener: Listener,
        _ body: @escaping @Sendable (SocketConnection) async -> Void
    ) async {
        do {
            try await listener.executeThenClose { inbound in
                try await withThrowingDiscardingTaskGroup { group in
                    for try await connection in inbound {
                        // A failing session ends in its own task; it must not fell the daemon.
                        group.addTask {
                            await withTaskCancellationHandler {
                                await body(connection)
                            } onCancel: {
                                connection.close()
                            }
                            connection.close()
                        }
                    }
                }
            }
        } catch {
            // The listener was closed: the daemon stops.
        }
    }
}

/// Fires once; whoever waits goes on.
package actor StopSignal {
    private var hasFired = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    package init() {}

    package func fire() {
        hasFired = true
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    package func wait() async {
        guard !hasFired else { return }
        await withCheckedContinuation { waiting.append($0) }
    }
}
