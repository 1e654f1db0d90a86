// SPDX-License-Identifier: MIT

private import Archive
private import Codecs
private import Descriptors
import Logging
private import NIOCore
import Transfer

/// Serves connections from peers at one gate: chooses the dialogue by its first line and acts on its request.
struct ConnectionService: Sendable {
    /// Data connections that one transfer may have.
    private static let dataConnections = TransferLimits.dataConnections

    private let gate: Gate
    private let settings: CurrentSettings
    private let configuration: DaemonConfiguration
    private let inbox: Inbox
    private let delivery: Delivery
    private let workshop: Workshop
    private let registry: TransferRegistry
    private let suspects: Suspects
    private let notices: NoticeBoard
    private let arrivals: ArrivalBoard
    private let desktop: Desktop
    private let admission: Admission
    private let labels: LabelSockets
    private let ledger: SpaceLedger
    private let logger: Logger

    init(
        gate: Gate,
        settings: CurrentSettings,
        configuration: DaemonConfiguration,
        inbox: Inbox,
        delivery: Delivery,
        workshop: Workshop,
        registry: TransferRegistry,
        suspects: Suspects,
        notices: NoticeBoard,
        arrivals: ArrivalBoard,
        desktop: Desktop,
        admission: Admission,
        labels: LabelSockets,
        ledger: SpaceLedger,
        logger: Logger
    ) {
        self.gate = gate
        self.settings = settings
        self.configuration = configuration
        self.inbox = inbox
        self.delivery = delivery
        self.workshop = workshop
        self.registry = registry
        self.suspects = suspects
        self.notices = notices
        self.arrivals = arrivals
        self.desktop = desktop
        self.admission = admission
        self.labels = labels
        self.ledger = ledger
        self.logger = logger
    }

    /// Serves the connection to its end.
    ///
    /// Never throws: what goes wrong ends this connection alone.
    func serve(_ connection: SocketConnection) async {
        guard admission.enter(by: gate) else {
            // More than a few are not even told.
            guard admission.beginFarewell() else { return }
            await connection.close(afterGreeting: [.refused(.tooManyConnections)])
            admission.endFarewell()
            return
        }
        defer {
            // What a crowd has used shall not be held for ever.
            if admission.leave(by: gate) { ProcessContext.trimMemory() }
        }
        let timer = connection.deadline(in: TransferLimits.firstLineSeconds)
        var stream = MessageStream(connection)
        do {
            guard let line = try await stream.nextLine(atMost: TransferLimits.firstLineBytes) else {
                timer.cancel()
                return
            }
            guard let messages = try Greeting.messages(inLine: line) else {
                timer.cancel()
                let (whole, gate, current, ledger) = (inbox, gate, settings.value, ledger)
                let host = current.host(gate)
                let folder = try whole.folder(for: gate, host)
                let reception = LineReception(
                    inbox: folder,
                    delivery: delivery.into(folder, for: gate, host),
                    workshop: workshop,
                    logger: logger
                ) { name in
                    try ledger.open(in: folder, of: whole, for: gate, current, stagingName: name, source: nil)
                }
                try await LineDialogue(gate: gate, settings: settings, notices: notices, reception: reception)
                    .serve(stream, first: line)
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
            displayName: settings.value.name,
            label: gate.name
        )
        let party = party(of: hello)
        guard admission.enter(party) else {
            await stream.connection.close(afterGreeting: [.refused(.tooManyConnections)])
            return
        }
        defer { admission.leave(party) }
        let memory = await memory(for: messages, hello)
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
                memory = await self.memory(for: [messages[0], request], hello)
            }
            try await serve(request, hello, memory, stream, &answerer)
        } catch let error as FormatError {
            // Behind WELCOME both sides speak messages.
            logRefusal("a peer does not keep to the protocol: \(error.description)")
            await stream.connection.close(after: .refused(Abort(.protocolViolation, error.description)))
        }
    }

    private func party(of hello: Hello) -> Admission.Party {
        switch gate {
        case .plain: .source(hello.sourceKey)
        case .host(let label): .host(label)
        }
    }

    /// What is known of the source, for a dialogue that may become a send; nil where it does not say who it is.
    ///
    /// A fault of the disk costs what is known; a send that follows meets it again and says so.
    private func memory(for messages: [Message], _ hello: Hello) async -> SourceMemory? {
        var label = gate.name
        if messages.count > 1 {
            switch messages[1] {
            case .open(let open) where open.purpose == .send: break
            // What was viewed has a book of its own: a short one, read before anything is opened.
            case .open(let open) where open.place != nil: label += "/view"
            case .forget: break
            default: return nil
            }
        }
        guard let key = hello.sourceKey else { return nil }
        let (inbox, gate, host, shelf) = (inbox, gate, settings.value.host(gate), delivery.shelf)
        do {
            return try await workshop.run { [label] in
                let folder = try inbox.folder(for: gate, host).directory
                return try SourceMemory(in: folder, label: label, sourceKey: key, shelf: shelf)
            }
        } catch {
            logRefusal("what is known of a source cannot be read: \(error)")
            return nil
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
            guard settings.value.host(gate).notify else {
                let abort = Abort(
                    .policy,
                    "notifications from this host are not shown",
                    setting: gate.setting("notify")
                )
                try await answerer.answer(.refused(abort))
                break
            }
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
                    origin: gate.origin(stating: hello.hostName),
                    expiry: notice.expiry
                ),
                id: notice.id
            )
            try await answerer.answer(.notified(outcome))
        case .open(let open): try await receive(open, hello, memory, stream, &answerer)
        case .attach(let attach): try await join(attach, party(of: hello), stream, &answerer)
        case .forget(let request): try await forget(request, memory, &answerer)
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
        guard await isFree(open.destination) else {
            try await answerer.answer(.refused(.unusableDestination))
            return
        }
        let transfer: IncomingTransfer
        var taken: Opened.Taken?
        var beginning: Have?
        var suspended = try await registry.takeSuspended(for: open)
        if open.isAnew {
            // What another process has left is let go: its staging serves the new transfer.
            suspended?.letGo()
            suspended = nil
        }
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
            guard await registry.mayBegin(open, of: memory?.name) else {
                try await answerer.answer(.refused(Self.runningAlready))
                return
            }
            await registry.endSuspended(succeededBy: open, of: memory?.name)
            do {
                if let memory, let answer = try await finishedAnswer(to: open, memory) {
                    await registry.beginsNot(open, of: memory.name)
                    return try await answerer.answer(.committed(answer))
                }
                transfer = try await begin(open, memory, answersOffers: answerer.welcome.isKnown)
            } catch {
                await registry.beginsNot(open, of: memory?.name)
                logRefusal("a transfer cannot begin: \(error)")
                try await answerer.answer(.refused(Self.refusal(error)))
                return
            }
        }
        guard let epoch = try await registry.add(transfer) else {
            await discard(transfer)
            try await answerer.answer(.refused(Self.runningAlready))
            return
        }
        let opened = Opened(
            epoch: epoch,
            credit: TransferLimits.creditBytes,
            channels: UInt64(Self.dataConnections),
            taken: taken
        )
        let started = NIODeadline.now()
        await desktop.transferBegan()
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
                    await discard(transfer)
                }
            case .committed(let committed):
                await registry.remove(open.transfer)
                transfer.space.close(staysOnDisk: true)
                for donor in transfer.donors { donor.remove() }
                if open.purpose == .send, settings.value.host(gate).arrivals {
                    await arrivals.tell(
                        committed,
                        from: gate.origin(stating: hello.hostName),
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
                transfer.letGo()
            } else {
                await discard(transfer)
            }
            await registry.remove(open.transfer)
            logRefusal("transfer \(open.transfer) ended: \(error)")
        }
        await desktop.transferEnded()
        if await registry.count == 0 { ProcessContext.trimMemory() }
    }

    /// What a transfer that was published already was answered with; one that a daemon's death has interrupted is first.
    private func finishedAnswer(to open: OpenRequest, _ memory: SourceMemory) async throws -> Committed? {
        let (inbox, gate, host) = (inbox, gate, settings.value.host(gate))
        let folder = try await workshop.run { try inbox.folder(for: gate, host) }
        try await delivery.into(folder, for: gate, host).finishInterrupted(of: memory)
        return try await workshop.run {
            try memory.book.load()
            return try memory.answer(to: open)
        }
    }

    /// Makes the staging folder of a new transfer, with what earlier ones of the same source have left.
    private func begin(_ open: OpenRequest, _ memory: SourceMemory?, answersOffers: Bool) async throws
        -> IncomingTransfer
    {
        let (wholeInbox, gate, settings, ledger) = (inbox, gate, settings.value, ledger)
        let host = settings.host(gate)
        let (inbox, staging, donors, space) = try await workshop.run {
            try wholeInbox.checkInPlace()
            let inbox = try wholeInbox.folder(for: gate, host)
            // Taken before the new folder is made, which is none of them.
            let donors = memory?.takeDonors(for: open.request) ?? []
            // What an attempt of this very transfer left is a donor, too, and keeps its name.
            let attempt = "\(open.transfer)-" + String(UInt32.random(in: .min ... .max), radix: 16)
            let name = memory?.stagingName(attempt, for: open.request) ?? attempt
            let staging = try Staging(in: inbox.directory, name: name)
            do throws(SystemError) {
                let space = try ledger.open(
                    in: inbox,
                    of: wholeInbox,
                    for: gate,
                    settings,
                    stagingName: name,
                    source: memory?.name
                )
                return (inbox, staging, donors, space)
            } catch {
                try? staging.remove()
                throw error
            }
        }
        let delivery = delivery.into(inbox, for: gate, host)
        let head = PublicationHead(
            source: memory?.name ?? "",
            transfer: open.transfer.rawValue,
            secret: try Digest(ofSecret: open.secret),
            destination: open.destination
        )
        let recall = memory.map { memory in
            if open.purpose == .view, let place = open.place {
                return delivery.viewRecall(memory, place: place, isPage: open.page != nil)
            }
            return Recall(
                book: memory.book,
                donors: donors,
                names: NamePlan(
                    inbox: inbox.directory,
                    destination: open.destination,
                    conflict: open.conflict
                )
            )
        }
        let receiver = try Receiver(
            staging: staging,
            workshop: workshop,
            recall: recall,
            answersOffers: answersOffers,
            space: space
        ) { index, staging, recall in
            switch open.purpose {
            case .send:
                try await delivery.deliver(index, staging, as: head, recall: recall, conflict: open.conflict)
            case .view:
                try await delivery.view(
                    index,
                    staging,
                    as: head,
                    recall: recall,
                    page: open.page,
                    isUpdate: open.isUpdate
                )
            }
        }
        return IncomingTransfer(
            request: open,
            source: memory?.name,
            receiver: receiver,
            staging: staging,
            donors: donors,
            space: space
        )
    }

    /// False where a peer of the plain socket asks for a folder that belongs to a host with a label.
    private func isFree(_ destination: [EntryName]) async -> Bool {
        guard gate == .plain, let first = destination.first, let label = HostLabel(first.text.lowercased()) else {
            return true
        }
        return await !labels.labels.contains(label)
    }

    /// Drops what is staged for a request of this source; the answer does not tell whether there was anything.
    private func forget(_ request: [UInt8], _ memory: SourceMemory?, _ answerer: inout Answerer) async throws {
        if let memory {
            guard await registry.endSuspended(request, of: memory.name) else {
                try await answerer.answer(.refused(Abort(.busy, "this send is running")))
                return
            }
            try await workshop.run { memory.forget(request) }
        }
        try await answerer.answer(.forgotten)
    }

    /// True where the same send may come again and go on: its staging stays, and is collected after some days.
    private static func canGoOn(after error: any Error) -> Bool {
        switch error {
        case TransferError.linkLost, TransferError.silence, TransferError.peer: true
        case TransferError.local(let abort): abort.code == .stopping || abort.code == .timeout
        case let abort as Abort: abort.code == .diskFull
        case StagingError.diskFull, StagingError.readOnly, StagingError.changedMeanwhile: true
        default: false
        }
    }

    private func discard(_ transfer: IncomingTransfer) async {
        let staging = transfer.staging
        do {
            try await workshop.run { try staging.discard() }
        } catch {
            logger.error("a staging folder could not be removed: \(error)")
        }
        transfer.letGo(staysOnDisk: false)
    }

    private func join(
        _ attach: AttachRequest,
        _ party: Admission.Party,
        _ stream: MessageStream,
        _ answerer: inout Answerer
    ) async throws {
        guard let receiver = try await registry.receiver(for: attach) else {
            try await answerer.answer(.refused(Abort(.unknown, "there is no such transfer")))
            return
        }
        guard await receiver.attachedConnections < Self.dataConnections, admission.beginData(party) else {
            try await answerer.answer(.refused(Abort(.busy, "the transfer has all its connections")))
            return
        }
        defer { admission.endData(party) }
        try await answerer.answer(.attached)
        try await receiver.serve(stream)
    }

    private static let runningAlready = Abort(.busy, "this send is running already")

    private static func refusal(_ error: any Error) -> Abort {
        switch error {
        case let abort as Abort: abort
        case is Inbox.Fault: .unusableFolder
        case let error as StagingError: Abort(error)
        case let error as SystemError: Abort(StagingError(error))
        default: Abort(.internal, "the laptop's daemon failed")
        }
    }

    private func logRefusal(_ text: String) {
        logger.warning("\(text)", metadata: ["\(LogFile.peerKey)": "-"])
    }
}

extension Abort {
    /// The folder that receives is gone, or is none that may receive; which, the laptop's log says.
    static let unusableFolder = Abort(.inputOutput, "the laptop's folder for this host cannot be used")

    static let tooManyConnections = Abort(.busy, "the laptop has too many connections; try again")

    /// Says the same whatever stands there: a file, a symlink, what cannot be read, or another host's folder.
    static let unusableDestination = Abort(.policy, "the destination cannot be used on the laptop")
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
