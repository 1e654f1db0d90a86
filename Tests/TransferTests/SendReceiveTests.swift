// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing
import Transfer

/// Sender and receiver against each other, and a sender against a peer that speaks by hand.
@Suite(.timeLimit(.minutes(1)))
struct SendReceiveTests {
    private let scratch = ScratchFolder("send")
    private var root: String { "\(scratch.path)/root" }

    /// Sends `root` to a receiver.
    private func send(
        compression: Compression = .stored,
        channels: Int = 0,
        publish: (@Sendable () async throws -> Void)? = nil
    ) async throws -> (
        result: Result<Committed, any Error>, end: ReceivingEnd, problems: [SourceProblem], connects: Int
    ) {
        let end = try await ReceivingEnd(publish: publish)
        let (served, serve) = AsyncStream.makeStream(of: SocketConnection.self)
        let connects = Counter()
        let sending = try await SendingEnd(on: end.control, compression: compression, channels: channels) {
            let data = try await Link()
            connects.increment()
            serve.yield(data.server)
            return data.client
        }
        let result = await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await end.run() }
            group.addTask {
                await withTaskGroup(of: Void.self) { connections in
                    for await connection in served {
                        connections.addTask {
                            // It ends with the transfer, in whichever way.
                            try? await end.receiver.serve(MessageStream(connection))
                            connection.close()
                        }
                    }
                }
            }
            let result = await sending.run([root])
            serve.finish()
            return result
        }
        return (result, end, sending.reports.all, connects.value)
    }

    @Test func `a tree of everything arrives as it is`() async throws {
        var maker = TreeMaker(seed: 7)
        try maker.makeTree(at: root, files: 60)
        let sent = try await send(compression: .zstd(), channels: 2)
        #expect(try sent.result.get().names == ["root"])
        #expect(sent.problems.isEmpty)
        #expect(sent.end.names == ["root"])
        #expect(try await TreeComparison.differences(root, "\(sent.end.scratch.path)/root") == [])
    }

    @Test(arguments: [Compression.stored, .zlib(1), .zstd(1)], [0, 1, 3])
    func `files arrive with every codec on any number of connections`(
        _ compression: Compression,
        _ channels: Int
    ) async throws {
        var generator = SeededGenerator(seed: 11)
        var expected: [String: [UInt8]] = [:]
        for number in 0..<6 {
            let bytes = number % 2 == 0 ? generator.bytes(3 << 20) : generator.text(1 << 20)
            expected["\(number)"] = bytes
            try TreeMaker.write(bytes, to: "\(root)/\(number)")
        }
        let sent = try await send(compression: compression, channels: channels)
        #expect(try sent.result.get().names == ["root"])
        for (name, bytes) in expected { #expect(sent.end.contents("root/\(name)") == bytes) }
        #expect(sent.connects == channels)
    }

    @Test func `nothing at all can be sent`() async throws {
        try TreeMaker.folder(root)
        let sent = try await send(channels: 2)
        #expect(try sent.result.get().names == ["root"])
        #expect(sent.end.names == ["root"])
        #expect(sent.connects == 0, "one frame needs no more connections")
    }

    @Test func `a source that is not there is reported and nothing arrives`() async throws {
        let sent = try await send()
        #expect(try sent.result.get().names == [])
        #expect(sent.problems == [SourceProblem(path: "root", kind: .vanished)])
        #expect(sent.end.names.isEmpty)
    }

    @Test(arguments: [.diskFull, .integrity, .quota] as [AbortCode])
    func `a receiver that cannot publish ends the send with its code`(_ code: AbortCode) async throws {
        try TreeMaker.write("x", to: "\(root)/f")
        let sent = try await send(publish: { throw TransferError.local(Abort(code, "no")) })
        guard case .failure(TransferError.peer(let abort)) = sent.result else {
            Issue.record("\(sent.result)")
            return
        }
        #expect(abort.code == code)
        #expect(sent.end.names.isEmpty)
    }

    @Test func `a data connection that cannot be opened costs nothing else`() async throws {
        for number in 0..<3 { try TreeMaker.write([UInt8](repeating: 1, count: 4 << 20), to: "\(root)/\(number)") }
        let end = try await ReceivingEnd()
        let sending = try await SendingEnd(on: end.control, channels: 2) { throw TransferError.noAnswer }
        async let failure = end.run()
        #expect(try await sending.run([root]).get().names == ["root"])
        #expect(await failure == nil)
        #expect(end.contents("root/2")?.count == 4 << 20)
    }

    // MARK: - A sender against a peer that speaks by hand

    /// Runs a sender while a peer speaks; what ended the sender, and the last message that the peer heard.
    private func talk(
        _ speak: @Sendable (SocketConnection) async throws -> Void
    ) async throws -> (result: Result<Committed, any Error>, heard: Message?, problems: [SourceProblem]) {
        try TreeMaker.write("content", to: "\(root)/f")
        let link = try await Link()
        let sending = try await SendingEnd(on: link)
        async let result = sending.run([root])
        try await speak(link.server)
        var stream = transferStream(link.server)
        var heard: Message?
        while let message = try await stream.nextMessage() {
            if message.kind != .records, message.kind != .frame { heard = try message.decoded() }
        }
        let ended = await result
        link.server.close()
        return (ended, heard, sending.reports.all)
    }

    private func code(_ message: Message?) -> AbortCode? {
        guard case .abort(let abort) = message else { return nil }
        return abort.code
    }

    @Test func `ABORT ends a send with its code`() async throws {
        let ended = try await talk { try await $0.send(.abort(Abort(.quota, "too much", setting: "limits"))) }
        guard case .failure(TransferError.peer(let abort)) = ended.result else {
            Issue.record("\(ended.result)")
            return
        }
        #expect(abort == Abort(.quota, "too much", setting: "limits"))
    }

    @Test(
        arguments: [
            .durable([5...5]), .durable([0...(1 << 31)]),
            .welcome(
                Welcome(codecs: .all, software: "", inbox: [UInt8](repeating: 0, count: 16), displayName: "", label: "")
            ), .echoed([]), .attached, .commit(Commit(records: 0, frames: 0, manifest: digest([]))),
        ] as [Message]
    )
    func `a receiver that breaks the protocol is told so`(_ message: Message) async throws {
        let ended = try await talk { try await $0.send(message) }
        #expect(sentence(ended.result) != nil)
        #expect(code(ended.heard) == .protocolViolation)
    }

    /// What a sender that found its peer at fault says of it.
    private func sentence(_ result: Result<Committed, any Error>) -> String? {
        guard case .failure(let error) = result else { return nil }
        if let error = error as? FormatError { return error.description }
        guard case TransferError.malformed(let error) = error else { return nil }
        return error.description
    }

    @Test func `COMMITTED before COMMIT is no success`() async throws {
        // Nothing is durable, so a sender with one frame of credit cannot have committed.
        for number in 0..<3 { try TreeMaker.write([UInt8](repeating: 1, count: 4 << 20), to: "\(root)/\(number)") }
        let link = try await Link()
        // Its frame is small: what is written when it ends has to be out within two seconds, however busy the machine is.
        let sending = try await SendingEnd(on: link, compression: .zlib(), credit: 4 << 20)
        async let result = sending.run([root])
        try await link.server.send(.committed(Committed()))
        var stream = transferStream(link.server)
        var last: MessageKind?
        while let message = try await stream.nextMessage() { last = message.kind }
        #expect(sentence(await result) == "COMMITTED without COMMIT")
        #expect(last == .abort)
        link.server.close()
    }

    @Test func `a connection that ends is a lost link`() async throws {
        try TreeMaker.write("content", to: "\(root)/f")
        let link = try await Link()
        let sending = try await SendingEnd(on: link)
        async let result = sending.run([root])
        link.server.close()
        guard case .failure(TransferError.linkLost) = await result else {
            Issue.record("not lost")
            return
        }
    }

    @Test func `a send that is stopped says why and commits nothing`() async throws {
        for number in 0..<3 { try TreeMaker.write([UInt8](repeating: 1, count: 4 << 20), to: "\(root)/\(number)") }
        let link = try await Link()
        let sending = try await SendingEnd(on: link, credit: 4 << 20)
        async let result = sending.run([root])
        let received = ReceivedCount()
        var stream = transferStream(link.server, counting: received)
        let reports = reporting(received, on: link.server)
        defer { reports.cancel() }
        // The first frame is there and fills the credit.
        while let message = try await stream.nextMessage(), message.kind != .frame {}
        let planner = SourcePlanner(walk: SourceWalk(sources: [], options: WalkOptions()))
        await sending.sender.stop(Abort(.interrupted, "stopped"), planner)
        var kinds: [MessageKind] = []
        while let message = try await stream.nextMessage() { kinds.append(message.kind) }
        #expect(kinds.last == .abort)
        #expect(!kinds.contains(.commit))
        guard case .failure(TransferError.local(let abort)) = await result else {
            Issue.record("not stopped")
            return
        }
        #expect(abort.code == .interrupted)
        link.server.close()
    }

    @Test func `frames are never more than the credit`() async throws {
        for number in 0..<6 { try TreeMaker.write([UInt8](repeating: 1, count: 4 << 20), to: "\(root)/\(number)") }
        let link = try await Link()
        let sending = try await SendingEnd(on: link, credit: 8 << 20)
        async let result = sending.run([root])
        let received = ReceivedCount()
        var stream = transferStream(link.server, counting: received)
        let reports = reporting(received, on: link.server)
        defer { reports.cancel() }
        var came: UInt64 = 0
        var acknowledged: UInt64 = 0
        while let message = try await stream.nextMessage() {
            switch message.kind {
            case .frame:
                came += 1
                #expect(came - acknowledged <= 2)
                if came - acknowledged == 2 {
                    // Only now may the next ones come.
                    try await link.server.send(.durable([acknowledged...(came - 1)]))
                    acknowledged = came
                }
            case .commit: try await link.server.send(.committed(Committed()))
            default: break
            }
        }
        #expect(came == 6)
        #expect(try await result.get().names == [])
        link.server.close()
    }

    @Test func `what the receiver rejects is reported`() async throws {
        try TreeMaker.write("content", to: "\(root)/f")
        let link = try await Link()
        let sending = try await SendingEnd(on: link)
        async let result = sending.run([root])
        var stream = transferStream(link.server)
        while let message = try await stream.nextMessage() {
            guard message.kind == .commit else { continue }
            try await link.server.send(.reject(Rejection(entry: 1, cause: .nameStands, path: "root/f")))
            try await link.server.send(.committed(Committed()))
        }
        _ = try await result.get()
        #expect(sending.reports.all == [SourceProblem(path: "root/f", kind: .rejected(.nameStands))])
        link.server.close()
    }
}

/// Counts from any thread.
private final class Counter: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func increment() { count.withLock { $0 += 1 } }
}
