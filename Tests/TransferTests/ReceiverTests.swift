// SPDX-License-Identifier: MIT

import Archive
import Codecs
import NIOCore
import TestSupport
import Testing
import Transfer

/// A receiver against a client that speaks by hand.
@Suite(.timeLimit(.minutes(1)))
struct ReceiverTests {
    private static let content = Array("0123456789".utf8)
    private static let oneFile = [header, file(0, "f", 10), list(0, [content])]

    /// Runs a receiver while a client speaks; what the client heard last, what ended the receiver, and what stands.
    private func talk(
        publishingFailsWith error: (any Error)? = nil,
        _ speak: (inout SpeakingClient, ReceivingEnd) async throws -> Void
    ) async throws -> (heard: Message?, failure: (any Error)?, names: [String], end: ReceivingEnd) {
        let end = try await ReceivingEnd { if let error { throw error } }
        async let failure = end.run()
        var client = SpeakingClient(end.control)
        // The receiver may close while the client still speaks.
        do { try await speak(&client, end) } catch TransferError.linkLost {}
        let heard = try await client.end()
        client.close()
        return (heard, await failure, end.names, end)
    }

    private func code(_ message: Message?) -> AbortCode? {
        guard case .abort(let abort) = message else { return nil }
        return abort.code
    }

    @Test func `an archive is published and answered`() async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Self.content)
            try await client.commit()
        }
        guard case .committed(let committed) = result.heard else {
            Issue.record("\(String(describing: result.heard))")
            return
        }
        #expect(committed.names == ["f"])
        #expect(result.failure == nil)
        #expect(result.names == ["f"])
        #expect(result.end.contents("f") == Self.content)
    }

    @Test func `frames before their records wait`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await client.frame(0...0, payload: Self.content, on: data.client)
            data.client.close()
            try await client.records(Self.oneFile)
            try await client.commit()
            try await served
        }
        #expect(result.failure == nil)
        #expect(result.names == ["f"])
    }

    @Test func `bytes that drip are an archive too`() async throws {
        let result = try await talk { client, _ in
            var compressor = try Compressor(.stored)
            let bytes = encoded(Self.oneFile)
            let records = try RecordsMessage.encode(bytes, with: &compressor, codec: .stored)
            let commit = Commit(records: 3, frames: 1, manifest: digest(bytes))
            var frame: [UInt8] = []
            FrameHeader(number: 0, codec: .stored, runs: [0...0]).encode(to: &frame)
            let all =
                Array(records.readableBytesView) + rawMessage(0x31, frame + Self.content) + encoded(.commit(commit))
            for byte in all { try await client.send([byte]) }
        }
        #expect(result.failure == nil)
        #expect(result.names == ["f"])
    }

    // MARK: - Hostile frames

    @Test func `bytes that are not those of the digest are refused as integrity`() async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Array("0123456780".utf8))
            try await client.commit()
        }
        #expect(code(result.heard) == .integrity)
        #expect(result.failure != nil)
        #expect(result.names.isEmpty, "nothing is published and nothing left")
    }

    @Test(
        arguments: [
            (.stored, [1, 2, 3]), (.stored, Array("0123456789x".utf8)), (.zlib, [1, 2, 3]),
            (.zlib, [0x78, 0x9C, 3, 0, 0, 0]),
            (.zstd, [1, 2, 3]), (.zstd, [0x28, 0xB5, 0x2F, 0xFD, 0x20]), (.zstd, Array("0123456789".utf8)),
            (.zstd, [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0]), (.zlib, Array("0123456789".utf8)),
            // Sound, but longer than what it holds.
            (.zlib, [120, 1, 1, 10, 0, 245, 255, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 10, 255, 2, 14]),
        ] as [(Codec, [UInt8])]
    )
    func `a payload that does not decode to its chunks is refused as protocol`(
        _ codec: Codec,
        _ payload: [UInt8]
    ) async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: payload, codec: codec)
            try await client.commit()
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `a frame that is packed tight is taken`() async throws {
        let long = [UInt8](repeating: UInt8(ascii: "r"), count: 775)
        let frame = try GoldenFile("archive/frames.txt")["zlib"]
        let result = try await talk { client, _ in
            try await client.records([header, file(0, "f", 775), list(0, [long])])
            try await client.frame(0...0, payload: Array(frame.dropFirst(24)), codec: .zlib)
            try await client.commit()
        }
        #expect(result.failure == nil)
        #expect(result.end.contents("f") == long)
    }

    // MARK: - Hostile order

    @Test(
        arguments: [
            [header, header], [file(0, "f", 1)], [header, list(0, [[1]])],
            [header, .retract(entry: 0, reason: .changed)],
        ]
    )
    func `records that lie are refused as protocol`(_ records: [Record]) async throws {
        let result = try await talk { client, _ in
            try await client.records(records)
            try await client.commit()
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `a chunk twice is refused as protocol`() async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Self.content)
            try await client.frame(0...0, payload: Self.content)
            try await client.commit()
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `COMMIT without all chunks is refused as protocol`() async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.commit()
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `COMMIT of frames that nobody can send is refused`() async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Self.content)
            try await client.commit(frames: .max)
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `COMMIT of another manifest is refused as integrity`() async throws {
        let result = try await talk { client, _ in
            try await client.records([header, file(0, "f", 0)])
            try await client.commit(manifest: digest([]))
        }
        #expect(code(result.heard) == .integrity)
        #expect(result.names.isEmpty)
    }

    @Test func `COMMIT of another number of records is refused as integrity`() async throws {
        let result = try await talk { client, _ in
            try await client.records([header, file(0, "f", 0)])
            try await client.commit(records: 3)
        }
        #expect(code(result.heard) == .integrity)
        #expect(result.names.isEmpty)
    }

    @Test func `COMMIT twice is refused`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await Self.untilAttached(end)
            try await client.records(Self.oneFile)
            try await client.commit(frames: 1)
            try await client.commit(frames: 1)
            try? await served
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `records behind COMMIT are refused`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await Self.untilAttached(end)
            try await client.records(Self.oneFile)
            try await client.commit(frames: 1)
            try await client.records([file(1, "g", 0)])
            try? await served
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test func `a frame behind COMMIT on its own connection is refused`() async throws {
        let result = try await talk { client, end in
            // With a data connection open the receiver has reason to wait for one more frame.
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await Self.untilAttached(end)
            try await client.records(Self.oneFile)
            try await client.commit(frames: 1)
            try await client.frame(0...0, payload: Self.content)
            try? await served
        }
        #expect(result.failure != nil)
        #expect(result.names.isEmpty)
    }

    @Test func `frames on another connection may come behind COMMIT`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await Self.untilAttached(end)
            try await client.records(Self.oneFile)
            try await client.commit(frames: 1)
            try await client.frame(0...0, payload: Self.content, on: data.client)
            try? await served
        }
        #expect(result.failure == nil)
        #expect(result.names == ["f"])
    }

    @Test(
        arguments: [
            .welcome(
                Welcome(codecs: .all, software: "", inbox: [UInt8](repeating: 0, count: 16), displayName: "", label: "")
            ),
            .durable([0...0]), .committed(Committed()), .echo([]), .received(Received(bytes: 0, records: 0)), .attached,
        ] as [Message]
    )
    func `a message that a sender does not send is refused as protocol`(_ message: Message) async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.send(message)
        }
        #expect(code(result.heard) == .protocolViolation)
        #expect(result.names.isEmpty)
    }

    @Test(
        arguments: [[1, 0, 0, 0, 0x50, 0, 0, 0, 1], [0, 0, 0, 0, 0x99, 0, 0, 0], [0, 0, 0, 0, 0x50, 0, 1, 0]]
            as [[UInt8]]
    )
    func `bytes that are no message are refused as protocol`(_ bytes: [UInt8]) async throws {
        let result = try await talk { client, _ in try await client.send(bytes) }
        #expect(code(result.heard) == .protocolViolation)
    }

    // MARK: - Data connections

    @Test func `anything but frames on a data connection is refused`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await data.client.send(.heartbeat)
            try await data.client.send(.commit(Commit(records: 0, frames: 0, manifest: digest([]))))
            _ = try? await served
            data.client.close()
            _ = client
        }
        #expect(code(result.heard) == .protocolViolation)
    }

    @Test func `a data connection that ends inside a message ends the transfer`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            try await data.client.send(ByteBuffer(bytes: rawMessage(0x31, [1, 2, 3], length: 100)))
            data.client.close()
            _ = try? await served
            _ = client
        }
        #expect(result.failure != nil)
        #expect(result.names.isEmpty)
    }

    @Test func `a data connection that ends between two messages ends nothing`() async throws {
        let result = try await talk { client, end in
            let data = try await Link()
            async let served: Void = end.receiver.serve(MessageStream(data.server))
            data.client.close()
            try await served
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Self.content)
            try await client.commit()
        }
        #expect(result.failure == nil)
        #expect(result.names == ["f"])
    }

    // MARK: - Ends

    @Test func `a sender that gives up leaves nothing`() async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Self.content)
            try await client.send(.abort(Abort(.interrupted, "stopped")))
        }
        guard case TransferError.peer(let abort)? = result.failure else {
            Issue.record("\(String(describing: result.failure))")
            return
        }
        #expect(abort.code == .interrupted)
        #expect(result.names.isEmpty)
    }

    @Test(arguments: [false, true]) func `a connection that ends before COMMITTED leaves nothing`(
        _ insideMessage: Bool
    ) async throws {
        let result = try await talk { client, _ in
            try await client.records(Self.oneFile)
            try await client.frame(0...0, payload: Self.content)
            if insideMessage { try await client.send([1, 0]) }
            client.close()
        }
        guard case TransferError.linkLost? = result.failure else {
            Issue.record("\(String(describing: result.failure))")
            return
        }
        #expect(result.names.isEmpty)
    }

    @Test(arguments: [.diskFull, .readOnly, .inputOutput, .policy, .quota, .integrity] as [AbortCode])
    func `what keeps it from publishing reaches the sender with its code`(_ code: AbortCode) async throws {
        let abort = Abort(code, "no", setting: "a.b")
        let result = try await talk(publishingFailsWith: TransferError.local(abort)) { client, _ in
            try await client.records([header, file(0, "f", 0)])
            try await client.commit()
        }
        #expect(result.heard == .abort(abort))
        #expect(result.names.isEmpty)
    }

    @Test func `a sender learns nothing of a failure but its kind`() async throws {
        struct Secret: Error, CustomStringConvertible { let description = "/home/me/Downloads" }
        for (error, code) in [
            (Secret(), .internal), (StagingError.integrity(path: "/home/me/f"), .integrity),
            (StagingError.inUse, .busy),
        ] as [(any Error, AbortCode)] {
            let result = try await talk(publishingFailsWith: error) { client, _ in
                try await client.records([header, file(0, "f", 0)])
                try await client.commit()
            }
            guard case .abort(let abort) = result.heard else {
                Issue.record("no ABORT")
                return
            }
            #expect(abort.code == code)
            #expect(!abort.reason.contains("/") && !abort.reason.contains("home"))
        }
    }

    @Test func `a name that stands is told and the others arrive`() async throws {
        let end = try await ReceivingEnd()
        async let failure = end.run()
        var client = SpeakingClient(end.control)
        try await client.records([header, file(0, "f", 0), file(7, "f", 0), file(8, "g", 0)])
        try await client.commit()
        var stream = transferStream(end.control.client)
        var rejections: [Rejection] = []
        while let message = try await stream.nextMessage() {
            let decoded = try message.decoded()
            if case .reject(let rejection) = decoded { rejections.append(rejection) }
            if case .committed = decoded { break }
        }
        client.close()
        #expect(await failure == nil)
        #expect(rejections == [Rejection(entry: 7, cause: .nameStands, path: "f")])
        #expect(end.names == ["f", "g"])
    }

    @Test func `a silent link ends, also where its reader waits for the records of a frame`() async throws {
        let end = try await ReceivingEnd(patience: 1)
        async let failure = end.run()
        var client = SpeakingClient(end.control)
        try await client.records([header])
        try await client.frame(0...0, payload: Self.content)
        #expect(code(try await client.end()) == .timeout)
        // The client keeps its end open: nothing but the receiver's own limit can end this.
        guard case .linkLost = await failure as? TransferError else {
            Issue.record("not suspended")
            return
        }
        client.close()
    }

    @Test func `a receiver that is stopped says so`() async throws {
        let result = try await talk { client, end in
            try await client.records(Self.oneFile)
            await end.receiver.stop(.stopping)
        }
        #expect(code(result.heard) == .stopping)
    }

    private static func untilAttached(_ end: ReceivingEnd) async throws {
        while await end.receiver.attachedConnections == 0 { await Task.yield() }
    }
}
