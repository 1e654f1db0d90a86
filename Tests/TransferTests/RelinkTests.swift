// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Foundation
import NIOCore
import TestSupport
import Testing
import Transfer

/// Sender and receiver over several links, one after the other.
struct RelinkTests {
    /// One chunk each.
    private static let fileBytes = 4 << 20
    private static let files = 40
    /// Durable at the cut: more than the credit, so that a send from the start would be seen by its bytes.
    private static let cutAt: UInt64 = 80 << 20

    private let scratch = ScratchFolder("relink")
    private var root: String { scratch.path + "/tree" }

    /// What happened, and what the receiver had when the link broke.
    private struct Ending {
        let progress: SendProgress
        let taken: Opened.Taken
        let have: Have
        let arrived: [[UInt8]?]

        /// Ordinals that were listed and had to come again.
        var missing: [Int] {
            (0..<Int(taken.chunks)).filter { ordinal in !have.ranges.contains { $0.contains(UInt64(ordinal)) } }
        }
    }

    private static func content(_ number: Int, isNew: Bool = false) -> [UInt8] {
        [UInt8](repeating: UInt8(number + (isNew ? 100 : 0)), count: fileBytes)
    }

    private func path(_ number: Int) -> String { "\(root)/\(100 + number)" }

    /// Sends the tree over a link that is cut on the way, and over the next one.
    private func sendOverTwoLinks(
        meanwhile: @escaping @Sendable (Opened.Taken, Have) throws -> Void = { _, _ in }
    ) async throws -> Ending {
        for number in 0..<Self.files { try TreeMaker.write(Self.content(number), to: path(number)) }
        let receiving = try await ReceivingEnd()
        let (told, tell) = AsyncStream<(Link, Opened.Taken, Have)>.makeStream()
        let resumed = Told(told)
        let sending = try await SendingEnd(
            on: receiving.control,
            relink: { _ in
                guard let (link, taken, _) = await resumed.next() else { throw TransferError.linkLost }
                let opened = Opened(epoch: 2, credit: TransferLimits.creditBytes, channels: 0, taken: taken)
                return SenderLink(stream: MessageStream(link.client), opened: opened, connect: { nil })
            }
        )
        async let failure = receiving.run { taken, have in
            try meanwhile(taken, have)
            let link = try await Link()
            tell.yield((link, taken, have))
            return link
        }
        async let result = sending.run([root])
        while await sending.sender.progress.durableBytes < Self.cutAt { await Task.yield() }
        receiving.control.server.close()
        _ = try await result.get()
        #expect(await failure == nil)
        let last = try #require(await resumed.last)
        return Ending(
            progress: await sending.sender.progress,
            taken: last.1,
            have: last.2,
            arrived: (0..<Self.files).map { receiving.contents("tree/\(100 + $0)") }
        )
    }

    @Test(.timeLimit(.minutes(1)))
    func `what is durable does not travel again, and nothing is scanned twice`() async throws {
        let ending = try await sendOverTwoLinks()
        for number in 0..<Self.files { #expect(ending.arrived[number] == Self.content(number)) }
        #expect(ending.taken.records > 0)
        let size = UInt64(Self.files * Self.fileBytes)
        #expect(ending.progress.durableBytes == size)
        #expect(ending.progress.files == Self.files, "each was announced once")
        #expect(ending.progress.wireBytes <= size + TransferLimits.creditBytes + 1 << 20)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a file that changed before it could be read again arrives as it is then`() async throws {
        let paths = (0..<Self.files).map(path)
        let ending = try await sendOverTwoLinks { taken, have in
            for number in 0..<Int(taken.chunks) where !have.ranges.contains(where: { $0.contains(UInt64(number)) }) {
                try TreeMaker.write(Self.content(number, isNew: true), to: paths[number])
            }
        }
        #expect(!ending.missing.isEmpty, "the cut swallowed something")
        for number in 0..<Self.files {
            #expect(ending.arrived[number] == Self.content(number, isNew: ending.missing.contains(number)))
        }
    }
}

/// Transfers whose links break again and again while their tasks wait for something.
struct SuspensionTests {
    /// Which of the tasks ends first is for the scheduler to decide: each round is one more chance of another order, and
    /// several transfers at once keep all its threads busy, so that tasks have to wait for one another.
    private static let rounds = 75
    private static let transfers = 8

    @Test(.timeLimit(.minutes(2)))
    func `a wait that ends because the link broke does not fail the transfer`() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.transfers { group.addTask { try await Self.breakAgainAndAgain() } }
            try await group.waitForAll()
        }
    }

    private static func breakAgainAndAgain() async throws {
        let end = try await ReceivingEnd()
        var link = end.control
        for round in 0..<rounds {
            let control = link
            async let outcome = end.receiver.run(MessageStream(control.server))
            let (data, served) = try await attach(to: end.receiver)
            // No record has listed the chunk: the first frame waits until the link breaks, the other one is met behind that.
            var frame: [UInt8] = []
            FrameHeader(number: 0, codec: .stored, runs: [0...0]).encode(to: &frame)
            let message = rawMessage(0x31, frame + [1])
            try await data.client.send(ByteBuffer(bytes: message + message))
            control.client.close()
            guard case .suspended = try await outcome else {
                Issue.record("round \(round)")
                return
            }
            try await served.value
            data.client.close()
            _ = await end.receiver.beginEpoch()
            link = try await Link()
        }
        // It can still be completed.
        let last = link
        async let outcome = end.receiver.run(MessageStream(last.server))
        var client = SpeakingClient(last)
        try await client.records([header, file(0, "f", 1), list(0, [[1]])])
        try await client.frame(0...0, payload: [1])
        try await client.commit()
        _ = try await client.end()
        client.close()
        guard case .committed = try await outcome else {
            Issue.record("not committed")
            return
        }
        #expect(end.contents("f") == [1])
        await end.shutDown()
    }

    /// A data connection of the link that has just begun, or is about to.
    private static func attach(to receiver: Receiver) async throws -> (Link, Task<Void, any Error>) {
        while true {
            let data = try await Link()
            let served = Task { try await receiver.serve(MessageStream(data.server)) }
            while data.server.channel.isActive {
                if await receiver.attachedConnections > 0 { return (data, served) }
                await Task.yield()
            }
            data.client.close()
        }
    }
}

/// Links as they come, and the one that came last.
private actor Told {
    typealias Element = (Link, Opened.Taken, Have)

    private var iterator: AsyncStream<Element>.Iterator
    private(set) var last: Element?

    init(_ stream: AsyncStream<Element>) { iterator = stream.makeAsyncIterator() }

    func next() async -> Element? {
        var copy = iterator
        last = await copy.next(isolation: self)
        iterator = copy
        return last
    }
}
