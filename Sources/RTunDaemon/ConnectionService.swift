// SPDX-License-Identifier: MIT

private import Archive
private import Codecs
private import Descriptors
package import Logging
private import NIOCore
package import Transfer

/// Serves one connection from a peer: chooses the dialogue by its first line and acts on its request.
package struct ConnectionService: Sendable {
    /// Data connections that one transfer may have.
    private static let dataConnections = TransferLimits.dataConnections
    /// What the daemon calls hosts on its plain socket.
    private static let plainLabel = "default"

    private let configuration: DaemonConfiguration
    private let inbox: Inbox
    private let delivery: Delivery
    private let workshop: Workshop
    private let registry: TransferRegistry
    private let suspects: Suspects
    private let notices: NoticeBoard
    private let arrivals: ArrivalBoard
    private let inhibitor = SleepInhibitor()
    private let admission = Admission()
    private let logger: Logger

    package init(
        configuration: DaemonConfiguration,
        inbox: Inbox,
        delivery: Delivery,
        workshop: Workshop,
        registry: TransferRegistry,
        suspects: Suspects,
        notices: NoticeBoard,
        arrivals: ArrivalBoard,
        logger: Logger
    ) {
        self.configuration = configuration
        self.inbox = inbox
        self.delivery = delivery
        self.workshop = workshop
        self.registry = registry
        self.suspects = suspects
        self.notices = notices
        self.arrivals = arrivals
        self.logger = logger
    }

    /// Serves the connection to its end.
    ///
    /// Never throws: what goes wrong ends this connection alone.
    package func serve(_ connection: SocketConnection) async {
        guard admission.enter() else {
            await connection.close(
                afterGreeting: [.refused(Abort(.busy, "the laptop has too many connections; try again"))])
            return
        }
        defer { admission.leave() }
        let timer = connection.deadline(in: TransferLimits.firstLineSeconds)
        var stream = MessageStream(connection)
        do {
            guard let line = try await stream.nextLine(atMost: TransferLimits.firstLineBytes) else {
                timer.cancel()
                return
            }
            guard let messages = try Greeting.messages(inLine: line) else {
                timer.cancel()
                try await LineDialogue(notices: notices, logger: logger).serve(stream, first: line)
                return
            }
            guard try await stream.nextLine(atMost: 64) == Array("PING".utf8) else {
                throw FormatError("the greeting does not end with PING")
            }
            timer.cancel()
            try await serve(messages, stream)
        } catch let error as FormatError {
            timer.cancel()
            logRefusal("a peer does not keep to the protocol: \(error.description)")
            await connection.close(afterGreeting: [.refused(Abort(.protocolViolation, error.description))])
        } catch {
            timer.cancel()
            logRefusal("a connection failed: \(error)")
        }
    }

    // MARK: - Requests

    private func serve(_ messages: [Message], _ stream: MessageStream) async throws {
        var stream = stream
        guard case .hello(let hello) = messages[0] else { throw FormatError("the greeting does not begin with HELLO") }
        guard hello.version >= 1 else { throw FormatError("a version that does not exist") }
        var welcome = Welcome(
            codecs: hello.codecs.intersection(.all),
            software: configuration.software,
            inbox: inbox.identity,
            displayName: configuration.displayName,
            label: Self.plainLabel
        )
        let memory = try await memory(for: messages, hello)
        welcome.isKnown = memory?.isEmpty == false
        var answerer = Answerer(connection: stream.connection, welcome: welcome)
        if messages.count > 1 {
            try await serve(messages[1], hello, memory, stream, &answerer)
            return
        }
        try await answerer.welcomeAlone()
        let timer = stream.connection.deadline(in: TransferLimits.idleSeconds)
        guard let raw = try await stream.nextMessage() else {
            timer.cancel()
            return
        }
        timer.cancel()
        do {
            let request = try raw.decoded()
            var memory = memory
            if case .open(let open) = request, open.purpose == .view {
                memory = try await self.memory(for: [messages[0], request], hello)
            }
            try await serve(request, hello, memory, stream, &answerer)
        } catch let error as FormatError {
            // Behind WELCOME both sides speak messages.
            logRefusal("a peer does not keep to the protocol: \(error.description)")
            await stream.connection.close(after: .refused(Abort(.protocolViolation, error.description)))
        }
    }

    /// What is known of the source, for a dialogue that may become a send; nil where it does not say who it is.
    private func memory(for messages: [Message], _ hello: Hello) async throws -> SourceMemory? {
        var label = Self.plainLabel
        if messages.count > 1 {
            guard case .open(let open) = messages[1] else { return nil }
            if open.purpose == .view {
                guard open.place != nil else { return nil }
                // What was viewed has a book of its own: a short one, read before anything is opened.
                label += "/view"
            }
        }
        guard let key = hello.sourceKey else { return nil }
        let folder = inbox.directory
        let shelf = delivery.shelf
        return try await workshop.run { [label] in
            try SourceMemory(in: folder, label: label, sourceKey: key, shelf: shelf)
        }
    }

    private func serve(
        _ request: Message,
        _ hello: Hello,
        _ memory: SourceMemory?,
        _ stream: MessageStream,
        _ answerer: inout Answerer
    ) async throws {
        switch request {
        case .echo(let bytes): try await answerer.answer(.echoed(bytes))
        case .notify(let notice):
            let urgency: DesktopNotice.Urgency =
                switch notice.urgency {
                case 0: .low
                case 2: .critical
                default: .normal
                }
            let outcome = await notices.show(
                DesktopNotice(
                    title: notice.title,
                    body: notice.body,
                    urgency: urgency,
                    origin: .unverified(name: hello.hostName),
                    expiry: notice.expiry
                ),
                id: notice.id
            )
            try await answerer.answer(.notified(outcome))
        case .open(let open): try await receive(open, hello, memory, stream, &answerer)
        case .attach(let attach): try await join(attach, stream, &answerer)
        default: throw FormatError("a message that is no request")
        }
        await lingerUntilEnd(stream)
    }

    /// The peer closes first, so that nothing it still has to read is thrown away with the connection.
    private func lingerUntilEnd(_ stream: MessageStream) async {
        var stream = stream
        let timer = stream.connection.deadline(in: 5)
        defer { timer.cancel() }
        do { while try await stream.nextMessage() != nil {} } catch {
            // It is over either way.
        }
    }

    private func receive(
        _ open: OpenRequest,
        _ hello: Hello,
        _ memory: SourceMemory?,
        _ stream: MessageStream,
        _ answerer: inout Answerer
    ) async throws {
        let transfer: IncomingTransfer
        var taken: Opened.Taken?
        var beginning: Have?
        let suspended = try await registry.takeSuspended(for: open)
        switch try suspects.begin(open.transfer) {
        case .admitted: break
        case .later:
            return try await answerer.answer(.refused(Abort(.busy, "the laptop's daemon has crashed; try again")))
        case .running:
            return try await answerer.answer(.refused(Abort(.busy, "this transfer is running already")))
        case .setAside:
            logRefusal("transfer \(open.transfer) is set aside")
            let text = "the laptop's daemon has crashed three times during this transfer; it is set aside"
            return try await answerer.answer(.refused(Abort(.internal, text)))
        }
        defer { suspects.end(open.transfer) }
        if let suspended {
            transfer = suspended
            (taken, beginning) = await suspended.receiver.beginEpoch()
        } else {
            await registry.endSuspended(succeededBy: open, of: memory?.name)
            do {
                if let memory, let answer = try await finishedAnswer(to: open, memory) {
                    return try await answerer.answer(.committed(answer))
                }
                transfer = try await begin(open, memory, answersOffers: answerer.welcome.isKnown)
            } catch {
                logRefusal("a transfer cannot begin: \(error)")
                try await answerer.answer(.refused(Self.refusal(error)))
                return
            }
        }
        guard let epoch = try await registry.add(transfer) else {
            await discard(transfer.staging)
            try await answerer.answer(.refused(Abort(.busy, "this transfer is running already")))
            return
        }
        let opened = Opened(
            epoch: epoch,
            credit: TransferLimits.creditBytes,
            channels: UInt64(Self.dataConnections),
            taken: taken
        )
        let started = NIODeadline.now()
        await inhibitor.begin()
        do {
            do { try await answerer.answer(.opened(opened)) } catch let error as TransferError where error.breaksLink {
                // It finds out when it reads.
            }
            switch try await transfer.receiver.run(stream, beginning: beginning) {
            case .suspended:
                logger.info("a link broke", metadata: ["transfer": "\(open.transfer)"])
                if open.purpose == .send {
                    await registry.suspend(open.transfer)
                } else {
                    await registry.remove(open.transfer)
                    await discard(transfer.staging)
                }
            case .committed(let committed):
                await registry.remove(open.transfer)
                for donor in transfer.donors { donor.remove() }
                if open.purpose == .send, configuration.announcesArrivals {
                    await arrivals.tell(
                        committed,
                        from: .unverified(name: hello.hostName),
                        source: memory?.name ?? hello.hostName,
                        elapsed: Double((NIODeadline.now() - started).nanoseconds) / 1e9
                    )
                }
                logger.info(
                    "received",
                    metadata: [
                        "transfer": "\(open.transfer)", "names": "\(committed.names.joined(separator: ", "))",
                        "files": "\(committed.files)", "bytes": "\(committed.bytes)",
                        "milliseconds": "\((NIODeadline.now() - started).nanoseconds / 1_000_000)",
                        "\(LogFile.peerKey)": "\(hello.hostName)",
                    ]
                )
            }
        } catch {
            await transfer.receiver.settle()
            if memory != nil, open.purpose == .send, Self.canGoOn(after: error) {
                await transfer.receiver.salvage()
            } else {
                await discard(transfer.staging)
            }
            transfer.letGo()
            await registry.remove(open.transfer)
            logRefusal("transfer \(open.transfer) ended: \(error)")
        }
        await inhibitor.end()
    }

    /// What a transfer that was published already was answered with; one that a daemon's death has interrupted is first.
    private func finishedAnswer(to open: OpenRequest, _ memory: SourceMemory) async throws -> Committed? {
        try await delivery.finishInterrupted(of: memory)
        return try await workshop.run {
            try memory.book.load()
            return try memory.answer(to: open)
        }
    }

    /// Makes the staging folder of a new transfer, with what earlier ones of the same source have left.
    private func begin(_ open: OpenRequest, _ memory: SourceMemory?, answersOffers: Bool) async throws
        -> IncomingTransfer
    {
        let inbox = inbox
        let (staging, donors) = try await workshop.run {
            let transfer = open.transfer.description
            // Taken before the new folder is made, which is none of them.
            let donors = memory?.takeDonors() ?? []
            return (try Staging(in: inbox.directory, name: memory?.stagingName(transfer) ?? transfer), donors)
        }
        let delivery = delivery
        let head = PublicationHead(
            source: memory?.name ?? "",
            transfer: open.transfer.rawValue,
            secret: try Digest(ofSecret: open.secret),
            destination: open.destination
        )
        let recall = memory.map { memory in
            if open.purpose == .view, let place = open.place { return delivery.viewRecall(memory, place: place) }
            return Recall(
                book: memory.book,
                donors: donors,
                names: NamePlan(inbox: inbox.directory, destination: open.destination)
            )
        }
        let receiver = try Receiver(
            staging: staging,
            workshop: workshop,
            recall: recall,
            answersOffers: answersOffers
        ) { index, staging, recall in
            switch open.purpose {
            case .send: try await delivery.deliver(index, staging, as: head, recall: recall)
            case .view:
                try await delivery.view(index, staging, as: head, recall: recall, isUpdate: open.isUpdate)
            }
        }
        return IncomingTransfer(
            request: open,
            source: memory?.name,
            receiver: receiver,
            staging: staging,
            donors: donors
        )
    }

    /// True where the same send may come again and go on: its staging stays, and is collected after some days.
    private static func canGoOn(after error: any Error) -> Bool {
        switch error {
        case TransferError.linkLost, TransferError.silence, TransferError.peer: true
        case TransferError.local(let abort): abort.code == .stopping || abort.code == .timeout
        case StagingError.diskFull, StagingError.readOnly, StagingError.changedMeanwhile: true
        default: false
        }
    }

    private func discard(_ staging: Staging) async {
        do {
            try await workshop.run { try staging.discard() }
        } catch {
            logger.error("a staging folder could not be removed: \(error)")
        }
    }

    private func join(_ attach: AttachRequest, _ stream: MessageStream, _ answerer: inout Answerer) async throws {
        guard let receiver = try await registry.receiver(for: attach) else {
            try await answerer.answer(.refused(Abort(.unknown, "there is no such transfer")))
            return
        }
        guard await receiver.attachedConnections < Self.dataConnections else {
            try await answerer.answer(.refused(Abort(.busy, "the transfer has all its connections")))
            return
        }
        try await answerer.answer(.attached)
        try await receiver.serve(stream)
    }

    private static func refusal(_ error: any Error) -> Abort {
        switch error {
        case let abort as Abort: abort
        case let error as StagingError: Abort(error)
        case let error as SystemError: Abort(StagingError(error))
        default: Abort(.internal, "the laptop's daemon failed")
        }
    }

    private func logRefusal(_ text: String) {
        logger.warning("\(text)", metadata: ["\(LogFile.peerKey)": "-"])
    }
}

/// Says WELCOME and the answer to the first request in one piece, or the answer alone if WELCOME is out.
private struct Answerer {
    let connection: SocketConnection
    let welcome: Welcome
    private var isWelcomed = false

    init(connection: SocketConnection, welcome: Welcome) {
        self.connection = connection
        self.welcome = welcome
    }

    mutating func welcomeAlone() async throws {
        isWelcomed = true
        try await connection.send(ByteBuffer(bytes: Greeting.answer([.welcome(welcome)])))
    }

    mutating func answer(_ message: Message) async throws {
        if isWelcomed {
            try await connection.send(message)
        } else {
            isWelcomed = true
            try await connection.send(ByteBuffer(bytes: Greeting.answer([.welcome(welcome), message])))
        }
    }
}

extension SocketConnection {
    /// Writes a greeting's answer and closes; a peer that does not read is given two seconds.
    fileprivate func close(afterGreeting messages: [Message]) async {
        let timer = deadline(in: 2)
        defer { timer.cancel() }
        do {
            try await send(ByteBuffer(bytes: Greeting.answer(messages)))
            // What it has written is read, or closing would take the answer back from it.
            var unread = TransferLimits.firstLineBytes
            while unread > 0, let bytes = try await receive() { unread -= bytes.readableBytes }
        } catch {
            // It is gone.
        }
        close()
    }
}
