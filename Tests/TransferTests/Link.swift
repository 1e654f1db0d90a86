// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing
import Transfer

/// Two ends of one connection in this process.
struct Link {
    let client: SocketConnection
    let server: SocketConnection

    init() async throws {
        var pair = try UnixSocket.pair(nonBlocking: true)
        let group = MultiThreadedEventLoopGroup.singleton
        client = try await SocketConnection.adopting(pair.takeFirst(), on: group)
        server = try await SocketConnection.adopting(pair.takeSecond(), on: group)
    }
}

/// A receiver on a scratch folder, without a daemon around it.
final class ReceivingEnd: Sendable {
    let scratch = ScratchFolder("receive")
    let control: Link
    let receiver: Receiver
    private let workshop: Workshop
    private let staging: Staging

    /// Makes the staging folder; `publish` runs before anything gets its final name, and may throw to prevent it.
    init(
        patience: Int64 = TransferLimits.idleSeconds,
        publish: (@Sendable () async throws -> Void)? = nil
    ) async throws {
        let destination = try Directory.open(scratch.path)
        let staging = try Staging(in: destination, name: "transfer")
        let workshop = try await Workshop()
        control = try await Link()
        self.staging = staging
        self.workshop = workshop
        receiver = try Receiver(
            staging: staging,
            workshop: workshop,
            recall: nil,
            answersOffers: false,
            patience: patience
        ) { index, staging, _ in
            try await publish?()
            return try await workshop.run {
                var publication = Publication(
                    index,
                    from: staging,
                    to: destination,
                    book: nil,
                    names: NamePlan(inbox: destination, destination: [])
                )
                try publication.publish()
                var committed = Committed()
                committed.names = publication.topLevelNames
                return committed
            }
        }
    }

    /// Serves until the transfer ends, and cleans up; the error that ended it, nil when all was published.
    func run() async -> (any Error)? {
        var failure: (any Error)?
        do {
            if case .suspended = try await receiver.run(MessageStream(control.server)) {
                failure = TransferError.linkLost
            }
        } catch {
            failure = error
        }
        control.server.close()
        if failure != nil {
            do { try await workshop.run { [staging] in try staging.remove() } } catch { Issue.record(error) }
        }
        await workshop.shutDown()
        return failure
    }

    /// Serves until the transfer ends, taking the next link whenever one breaks; `nextLink` may look at what is here.
    func run(nextLink: @Sendable (Opened.Taken, Have) async throws -> Link) async -> (any Error)? {
        var failure: (any Error)?
        do {
            var link = control
            var beginning: Have?
            while case .suspended = try await receiver.run(MessageStream(link.server), beginning: beginning) {
                let (taken, have) = await receiver.beginEpoch()
                link = try await nextLink(taken, have)
                beginning = have
            }
            link.server.close()
        } catch {
            failure = error
        }
        await workshop.shutDown()
        return failure
    }

    /// Ends the threads, where `run` does not.
    func shutDown() async { await workshop.shutDown() }

    /// What stands in the scratch folder.
    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: scratch.path)) ?? []).sorted()
    }

    func contents(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: "\(scratch.path)/\(name)").map { [UInt8]($0) }
    }
}

/// Speaks for a sender, honest or not: writes messages, counts what COMMIT counts, and hears the end.
struct SpeakingClient {
    private let connection: SocketConnection
    private var sent: [UInt8] = []
    private var recordCount: UInt64 = 0
    private var frameCount: UInt64 = 0

    init(_ link: Link) {
        connection = link.client
    }

    mutating func records(_ records: [Record]) async throws {
        var compressor = try Compressor(.stored)
        let bytes = encoded(records)
        sent += bytes
        recordCount += UInt64(records.count)
        try await connection.send(RecordsMessage.encode(bytes, with: &compressor, codec: .stored))
    }

    /// A stored frame with the next number.
    mutating func frame(
        _ runs: ClosedRange<UInt64>...,
        payload: [UInt8],
        codec: Codec = .stored,
        on other: SocketConnection? = nil
    ) async throws {
        let header = FrameHeader(number: frameCount, codec: codec, runs: runs)
        frameCount += 1
        var body: [UInt8] = []
        header.encode(to: &body)
        try await (other ?? connection).send(ByteBuffer(bytes: rawMessage(0x31, body + payload)))
    }

    /// COMMIT of what was sent, or of something else.
    mutating func commit(records: UInt64? = nil, frames: UInt64? = nil, manifest: Digest? = nil) async throws {
        try await connection.send(
            .commit(
                Commit(
                    records: records ?? recordCount,
                    frames: frames ?? frameCount,
                    manifest: manifest ?? digest(sent)
                )
            )
        )
    }

    func send(_ message: Message) async throws {
        try await connection.send(message)
    }

    func send(_ bytes: [UInt8]) async throws {
        try await connection.send(ByteBuffer(bytes: bytes))
    }

    /// Reads until COMMITTED or ABORT; nil where the connection ends before that.
    func end() async throws -> Message? {
        var stream = transferStream(connection)
        while let message = try await stream.nextMessage() {
            let decoded = try message.decoded()
            switch decoded {
            case .committed, .abort: return decoded
            default: continue
            }
        }
        return nil
    }

    func close() { connection.close() }
}

/// What a sender reported, from any thread.
final class Reports: Sendable {
    private let list = Mutex<[SourceProblem]>([])

    var all: [SourceProblem] { list.withLock { $0 } }

    func add(_ problem: SourceProblem) { list.withLock { $0.append(problem) } }
}

/// A sender of files on a scratch folder, without a command around it.
final class SendingEnd: Sendable {
    let sender: Sender
    let reports = Reports()
    private let workshop: Workshop
    private let link: Link

    init(
        on link: Link,
        compression: Compression = .stored,
        credit: UInt64 = TransferLimits.creditBytes,
        channels: Int = 0,
        connect: @escaping @Sendable () async throws -> SocketConnection? = { nil },
        relink: Sender.Relink? = nil
    ) async throws {
        self.link = link
        let reports = reports
        workshop = try await Workshop()
        let opened = Opened(epoch: 1, credit: credit, channels: UInt64(channels))
        sender = Sender(
            link: SenderLink(stream: MessageStream(link.client), opened: opened, connect: connect),
            relink: relink,
            awaitsAnswers: false,
            workshop: workshop,
            compression: AdaptiveCompression(
                .pinned(to: compression),
                workers: Workshop.workerCount,
                benches: workshop.benchCount,
                memory: TransferLimits.contextBytes
            ),
            channels: channels,
            report: { reports.add($0) }
        )
    }

    func run(_ paths: [String]) async -> Result<Committed, any Error> {
        let result: Result<Committed, any Error>
        do {
            let walk = SourceWalk(sources: try paths.map(Self.source), options: WalkOptions())
            let committed = try await sender.run(SourcePlanner(walk: walk))
            result = .success(committed)
        } catch {
            result = .failure(error)
        }
        link.client.close()
        await workshop.shutDown()
        return result
    }

    private static func source(_ path: String) throws -> Source {
        let parts = path.split(separator: "/").map(String.init)
        let last = parts.last ?? ""
        return Source(
            folder: try Directory.open("/" + parts.dropLast().joined(separator: "/")),
            name: last,
            topLevelName: name(last),
            folderPath: ""
        )
    }
}
