// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Dispatch
import NIOCore
import Synchronization
import Transfer
import UnixSignals

/// One transfer from the command line: opens it, sends, shows how far it is, and heeds signals.
struct TransferRun {
    let client: Client
    /// The same in every attempt.
    let identity: TransferIdentity
    let purpose: OpenRequest.Purpose
    let destination: [EntryName]
    /// View: what tells the laptop that it is the same file again, and whether it is only to be replaced.
    var place: [UInt8]? = nil
    var isUpdate = false
    /// View: the page in the folder that is sent.
    var page: EntryName? = nil
    let compression: Compression?
    let channels: Int
    let report: SendReport
    /// Counts what will be sent, for the progress line; nil where that is not wanted.
    let counter: SourceCounter?
    /// Nil where nobody can go on with it.
    var memory: SendMemory?
    /// What takes the place of the request's name where there is no memory.
    var streamRequest: [UInt8]?
    var conflict = ConflictRule.auto
    /// Read every file again, whatever is remembered of it.
    var readsAll = false
    /// Nil for as fast as it goes.
    var rate: SendingRate?
    /// Looks at each laptop before anything is sent to it, and throws where it is not the one.
    var check: (@Sendable (Welcome) throws -> Void)?

    /// What became of it.
    struct Result {
        let committed: Committed
        let welcome: Welcome
        let progress: SendProgress
        /// Seconds.
        let elapsed: Double
    }

    /// The transfer, open on a way to the laptop.
    struct Reached {
        let welcome: Welcome
        let link: SenderLink
    }

    /// An earlier attempt was delivered, and its answer lost.
    struct AlreadyDelivered: Error {
        let result: Result
    }

    /// The transfer's request, the same in every attempt.
    func makeRequest() throws -> OpenRequest {
        var request = OpenRequest(
            transfer: identity.transfer,
            secret: identity.secret,
            purpose: purpose,
            destination: destination,
            place: place,
            isUpdate: isUpdate,
            page: page
        )
        request.request = try memory?.request.name() ?? streamRequest
        request.conflict = conflict
        return request
    }

    /// What each laptop has to pass; nil where any will do, and the request can go with the greeting.
    private var examination: (@Sendable (Welcome) throws -> Void)? {
        let memory = memory?.isBound == true ? memory : nil
        guard memory != nil || check != nil else { return nil }
        return { [check] welcome in
            try memory?.check(welcome)
            try check?(welcome)
        }
    }

    /// Finds a way to the laptop and opens the transfer there, or goes on with it.
    ///
    /// Throws `AlreadyDelivered` where nothing is left to do.
    func open(_ request: OpenRequest) async throws -> Reached {
        let (found, stream, answer) = try await client.ask(.open(request), asking: examination)
        let opened: Opened
        switch answer {
        case .opened(let answer): opened = answer
        case .committed(let committed):
            found.connection.close()
            throw AlreadyDelivered(
                result: Result(
                    committed: committed,
                    welcome: found.welcome,
                    progress: SendProgress(),
                    elapsed: 0
                )
            )
        default: throw TransferError.malformed(FormatError("the answer to OPEN"))
        }
        found.connection.limit(to: rate)
        memory?.begin(at: found.welcome)
        let hello = client.finder.hello
        let address = found.address
        let link = SenderLink(stream: stream, opened: opened) { [rate] in
            let attach = AttachRequest(transfer: request.transfer, secret: request.secret, epoch: opened.epoch)
            let joined = try await DaemonConnection.open(
                address,
                hello: hello,
                request: .attach(attach),
                within: TransferLimits.answerSeconds,
                on: Client.group
            )
            guard case .attached = joined.answer else {
                joined.connection.close()
                return nil
            }
            joined.connection.limit(to: rate)
            return joined.connection
        }
        return Reached(welcome: found.welcome, link: link)
    }

    /// Sends what the planner has, beginning on that link.
    ///
    /// Throws what ended it; a signal becomes `Abort.interrupted`. `folder` is where the send is remembered.
    func send(
        _ planner: SourcePlanner,
        on reached: Reached,
        relink: Sender.Relink? = nil,
        rememberingIn folder: Directory? = nil
    ) async throws -> Result {
        let start = ProcessContext.monotonicNow
        let chosen = Self.choose(compression, among: reached.welcome.codecs)
        let workshop = try await Workshop()
        if let folder, reached.welcome.isKnown, !readsAll { planner.cache = FilesCache(in: folder) }
        let cache = folder.map { FilesCacheWriter(in: $0) }
        let sender = Sender(
            link: reached.link,
            relink: relink,
            awaitsAnswers: reached.welcome.isKnown,
            workshop: workshop,
            compression: AdaptiveCompression(
                chosen,
                workers: Workshop.workerCount,
                benches: workshop.benchCount,
                memory: TransferLimits.contextBytes
            ),
            channels: channels,
            cache: cache,
            report: { [report] in report.report($0) }
        )
        let committed: Committed
        do {
            committed = try await run(sender, planner, from: start)
        } catch {
            try? cache?.flush()
            await workshop.shutDown()
            throw error
        }
        reached.link.control.close()
        try? cache?.finish()
        return Result(
            committed: committed,
            welcome: reached.welcome,
            progress: await sender.progress,
            elapsed: (ProcessContext.monotonicNow - start) / .seconds(1)
        )
    }

    private func run(
        _ sender: Sender,
        _ planner: SourcePlanner,
        from start: Duration
    ) async throws -> Committed {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        return try await withThrowingTaskGroup(of: Committed?.self) { group in
            group.addTask { try await sender.run(planner) }
            group.addTask {
                for await signal in signals {
                    let code: AbortCode = signal == .sigint ? .interrupted : .stopping
                    await sender.stop(Abort(code, signal == .sigint ? "interrupted" : "stopped by a signal"), planner)
                }
                return nil
            }
            group.addTask {
                try await show(sender, from: start)
                return nil
            }
            defer {
                group.cancelAll()
                counter?.cancel()
            }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw TransferError.linkLost
        }
    }

    /// Nothing within the first second, then five times a second on a terminal, once a second as JSON.
    private func show(_ sender: Sender, from start: Duration) async throws {
        try await Task.sleep(for: .seconds(1), clock: .suspending)
        counter?.start()
        while true {
            let elapsed = (ProcessContext.monotonicNow - start) / .seconds(1)
            let progress = await sender.progress
            memory?.update(durable: progress.durableBytes + progress.hadBytes)
            report.show(progress, total: counter?.total, elapsed: elapsed)
            try await Task.sleep(for: report.interval, clock: .suspending)
        }
    }

    /// What was asked for, if both have it; else what adapts, with zstd where both have it, else zlib, else none.
    private static func choose(_ wanted: Compression?, among codecs: CodecSet) -> CompressionLadder {
        if let wanted, codecs.contains(wanted.codec) { return .pinned(to: wanted) }
        if codecs.contains(.zstd) { return .zstd }
        if codecs.contains(.zlib) { return .zlib }
        return .stored
    }
}

/// Walks the sources beside the send to learn how much there is, once somebody wants to see it.
final class SourceCounter: Sendable {
    private struct State {
        var total: UInt64?
        var hasStarted = false
        var isCancelled = false
    }

    private let state = Mutex(State())
    private let sources: [Source]
    private let options: WalkOptions

    init(sources: [Source], options: WalkOptions) {
        self.sources = sources
        self.options = options
    }

    /// Bytes of all files, nil until everything is counted.
    var total: UInt64? { state.withLock { $0.total } }

    func start() {
        let isFirst = state.withLock { state in
            defer { state.hasStarted = true }
            return !state.hasStarted
        }
        guard isFirst else { return }
        // A thread of its own: it blocks on the file system and nobody waits for it.
        DispatchQueue.global(qos: .utility).async { [self] in count() }
    }

    func cancel() {
        state.withLock { $0.isCancelled = true }
    }

    private func count() {
        var walk = SourceWalk(sources: sources, options: options)
        var bytes: UInt64 = 0
        var seen: Set<UInt64> = []
        while let step = walk.next() {
            guard !state.withLock({ $0.isCancelled }) else { return }
            guard case .entry(let entry) = step, entry.status.kind == .file else { continue }
            // A file of several names travels once.
            if entry.status.linkCount > 1, !seen.insert(entry.status.inode).inserted { continue }
            bytes += UInt64(entry.status.size)
        }
        state.withLock { $0.total = bytes }
    }
}
