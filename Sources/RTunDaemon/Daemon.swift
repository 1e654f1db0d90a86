// SPDX-License-Identifier: MIT

private import Archive
private import Codecs
package import Descriptors
private import Logging
private import NIOCore
private import NIOPosix
package import Transfer
private import UnixSignals

/// The laptop's daemon: accepts connections and serves each in a task of its own.
///
/// One event loop does the socket I/O, a `Workshop` the blocking work. Peers come through `socket`, or
/// through the socket of a label; administration comes through `control`, which is never forwarded.
package struct Daemon: Sendable {
    /// Seconds that an unfinished transfer is kept.
    private static let stagingLifetime: Int64 = 7 * 86_400
    /// How long the desktop's process must have lived for its death to be a reason to start anew.
    private static let desktopLifetime: Duration = .seconds(60)

    /// Why it stopped serving.
    package enum Ending: Sendable {
        /// It was told to.
        case stopped
        /// Another process has to take its place: for folders that this one may not reach, or for a new desktop.
        case renewal
    }

    private let configuration: DaemonConfiguration
    private let logger: Logger
    private let logFile: LogFile
    private let inbox: Inbox
    private let grounds: [Ground]
    private let suspects: Suspects
    private let folder: StateFolder
    private let settings: CurrentSettings
    private let wall: WorkerWall.State

    package init(
        _ configuration: DaemonConfiguration,
        settings: CurrentSettings,
        folder: StateFolder,
        inbox: Inbox,
        grounds: [Ground],
        suspects: Suspects,
        logFile: LogFile,
        wall: WorkerWall.State
    ) {
        self.configuration = configuration
        self.settings = settings
        self.folder = folder
        self.inbox = inbox
        self.grounds = grounds
        self.wall = wall
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
        desktop process: Result<DesktopProcess, any Error>,
        ready: @escaping @Sendable () -> Void
    ) async throws -> Ending {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let workshop = try await Workshop()
        let registry = TransferRegistry()
        let desktop = Desktop()
        let delivery = Delivery(inbox: inbox, desktop: desktop, shelf: ReceiptShelf(), workshop: workshop)
        let notices = NoticeBoard(desktop: desktop, logger: logger)
        let arrivals = ArrivalBoard(notices: notices, inboxPath: inbox.path)
        let admission = Admission()
        let labels = LabelSockets(in: folder)
        let ledger = SpaceLedger()
        let (configuration, settings, inbox, suspects, logger) = (configuration, settings, inbox, suspects, logger)
        let (grounds, wall) = (grounds, wall)
        let service: @Sendable (Gate) -> ConnectionService = { gate in
            ConnectionService(
                gate: gate,
                settings: settings,
                configuration: configuration,
                inbox: inbox,
                delivery: delivery,
                workshop: workshop,
                registry: registry,
                suspects: suspects,
                notices: notices,
                arrivals: arrivals,
                desktop: desktop,
                admission: admission,
                labels: labels,
                ledger: ledger,
                logger: logger
            )
        }
        let stop = StopSignal()
        await labels.openRemembered(and: settings.value.labels, logger)
        for transfer in suspects.setAside {
            logger.error("transfer \(transfer) ran at three crashes in a row and is refused")
        }
        tidy(await labels.labels, delivery)

        let peers = try await Self.listen(on: socket, group)
        let administrators = try await Self.listen(on: control, group)
        let link = try await SocketConnection.adopting(supervisor, on: group)
        logger.info("listening", metadata: ["socket": "\(configuration.socketPath)", "inbox": "\(inbox.path)"])
        if case .absent(let reason) = wall {
            logger.warning("no wall around the daemon: \(reason)")
        } else {
            logger.info("the wall around the daemon stands", metadata: ["by": "\(wall)"])
        }
        let desktopProcess = await connect(desktop, to: process, group)
        ready()

        var ending = Ending.stopped
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await Self.serve(peers, logger) { await service(.plain).serve($0) } }
            tasks.addTask { await Self.serve(labels, service, admission, group, logger) }
            tasks.addTask {
                await Self.serve(administrators, logger) { connection in
                    await AdministrationService(
                        registry: registry,
                        labels: labels,
                        desktop: desktop,
                        wall: wall,
                        stop: stop
                    ).serve(connection)
                }
            }
            tasks.addTask {
                for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup) {
                    guard signal == .sighup else {
                        await stop.fire()
                        continue
                    }
                    logFile.reopen()
                    do {
                        try settings.reload()
                        await labels.openRemembered(and: settings.value.labels, logger)
                        logger.info("the configuration was read again")
                        guard !Ground.cover(settings.value, by: grounds) else { continue }
                        logger.info("another process is started for folders that this one may not reach")
                        await stop.fire(.renewal)
                    } catch {
                        logger.error("what held before goes on to hold: \(error)")
                    }
                }
            }
            tasks.addTask {
                // Ends with the supervisor, whatever becomes of it: nobody else holds the lock for this process.
                while let bytes = try? await link.receive(), bytes.readableBytes >= 0 {}
                await stop.fire()
            }
            tasks.addTask {
                guard let desktopProcess else { return }
                let began = ProcessContext.monotonicNow
                await desktop.serve()
                await desktopProcess.reap()
                guard await !stop.hasFired else { return }
                logger.error("the process that opens and shows has died; nothing is opened or shown until a new start")
                // One that lives for moments only would keep every transfer from going on.
                if ProcessContext.monotonicNow - began >= Self.desktopLifetime { await stop.fire(.renewal) }
            }
            ending = await stop.wait()
            logger.info("stopping")
            await registry.stopAll(.stopping)
            for _ in 0..<40 where await registry.count > 0 {
                try? await Task.sleep(for: .milliseconds(50))
            }
            await labels.close()
            tasks.cancelAll()
            link.close()
            peers.channel.close(promise: nil)
            administrators.channel.close(promise: nil)
            desktop.close()
        }
        await desktopProcess?.reap()
        await workshop.shutDown()
        try await group.shutdownGracefully()
        return ending
    }

    /// Ties the desktop to its process; nil where there is none.
    private func connect(
        _ desktop: Desktop,
        to process: Result<DesktopProcess, any Error>,
        _ group: MultiThreadedEventLoopGroup
    ) async -> DesktopProcess? {
        do {
            let process = try process.get()
            try await desktop.connect(to: process, on: group)
            return process
        } catch {
            logger.error("nothing is opened or shown: \(error)")
            return nil
        }
    }

    /// Completes and removes what earlier transfers left, in the folders of all hosts.
    private func tidy(_ labels: Set<HostLabel>, _ delivery: Delivery) {
        for transfer in suspects.setAside {
            logger.error("transfer \(transfer) ran at three crashes in a row and is refused")
        }
        for gate in [.plain] + labels.map({ Gate.host($0) }) {
            let host = settings.value.host(gate)
            guard let inbox = try? inbox.folder(for: gate, host) else { continue }
            let delivery = delivery.into(inbox, for: gate, host)
            delivery.removeOldViews()
            for transfer in suspects.setAside { Staging.setAside(in: inbox.directory, containing: "\(transfer)-") }
            for failure in delivery.finishInterrupted() {
                logger.error("an interrupted delivery cannot be completed yet: \(failure.name): \(failure.error)")
            }
            Staging.removeAbandoned(in: inbox.directory, olderThan: Self.stagingLifetime)
        }
    }

    private typealias Listener = NIOAsyncChannel<SocketConnection, Never>

    private static func listen(
        on descriptor: consuming OwnedDescriptor,
        _ group: MultiThreadedEventLoopGroup
    ) async throws -> Listener {
        let raw = descriptor.relinquish()
        return try await ServerBootstrap(group: group)
            .childChannelOption(.autoRead, value: false)
            // A peer that has said all it has to say may still hear the answer.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: TransferLimits.readBytes)
            )
            .childChannelOption(.maxMessagesPerRead, value: UInt(TransferLimits.readAheadBuffers))
            .bind(raw) { channel in
                channel.eventLoop.makeCompletedFuture { try SocketConnection.make(on: channel) }
            }
    }

    /// Serves the socket of each label from the moment that it listens.
    private static func serve(
        _ labels: LabelSockets,
        _ service: @escaping @Sendable (Gate) -> ConnectionService,
        _ admission: Admission,
        _ group: MultiThreadedEventLoopGroup,
        _ logger: Logger
    ) async {
        await withDiscardingTaskGroup { tasks in
            for await opened in labels.opened {
                do {
                    admission.open(.host(opened.label))
                    let listener = try await listen(on: try opened.socket.descriptor.duplicate(), group)
                    tasks.addTask {
                        await serve(listener, logger) { await service(.host(opened.label)).serve($0) }
                    }
                } catch {
                    logger.error("the socket of \(opened.label.text) cannot be served: \(error)")
                }
            }
        }
    }

    private static func serve(
        _ listener: Listener,
        _ logger: Logger,
        _ body: @escaping @Sendable (SocketConnection) async -> Void
    ) async {
        do {
            try await listener.executeThenClose { inbound in
                try await withThrowingDiscardingTaskGroup { group in
                    for try await connection in inbound {
                        // A failing session ends in its own task; it must not fell the daemon.
                        group.addTask {
                            await withTaskCancellationHandler {
                                await Self.serve(connection, logger, body)
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

    /// Serves the laptop's own user and nobody else, whatever the modes of the socket and its folder have become.
    private static func serve(
        _ connection: SocketConnection,
        _ logger: Logger,
        _ body: @Sendable (SocketConnection) async -> Void
    ) async {
        do {
            let user = try await connection.peerUserID()
            guard user == ProcessContext.effectiveUserID else {
                logger.warning("turned another user away", metadata: [LogFile.peerKey: "-", "uid": "\(user)"])
                return
            }
        } catch {
            // It is gone already.
            return
        }
        await body(connection)
    }
}

/// Fires once; whoever waits goes on.
actor StopSignal {
    private var ending: Daemon.Ending?
    private var waiting: [CheckedContinuation<Daemon.Ending, Never>] = []

    var hasFired: Bool { ending != nil }

    func fire(_ cause: Daemon.Ending = .stopped) {
        let ending = ending ?? cause
        self.ending = ending
        for continuation in waiting { continuation.resume(returning: ending) }
        waiting = []
    }

    func wait() async -> Daemon.Ending {
        if let ending { return ending }
        return await withCheckedContinuation { waiting.append($0) }
    }
}
