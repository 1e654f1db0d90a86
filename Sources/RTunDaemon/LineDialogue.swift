// SPDX-License-Identifier: MIT

private import Archive
import Logging
private import NIOCore
import Transfer

/// The original tool's line protocol (`docs/protocol.md` section 9): what its clients find answered here.
struct LineDialogue: Sendable {
    /// Bytes of a line behind the first.
    static let lineBytes = 16 << 10
    /// Seconds of silence between lines and between bytes, as the original has it.
    static let idleSeconds: Int64 = 120
    /// Bytes that are read and dropped behind an error, so that closing does not take it back.
    private static let drainedBytes = 4 << 20

    let gate: Gate
    let settings: CurrentSettings
    let notices: NoticeBoard
    let reception: LineReception

    /// Serves lines until the peer ends, is silent for too long, or gets an answer that closes.
    func serve(_ stream: MessageStream, first: [UInt8]) async throws {
        var stream = stream
        var line = first
        while true {
            let reply = try await answer(to: line, &stream)
            try await stream.connection.send(ByteBuffer(bytes: reply.bytes))
            if reply.closes { return try await drain(&stream) }
            let timer = stream.connection.deadline(in: Self.idleSeconds)
            defer { timer.cancel() }
            do {
                guard let next = try await stream.nextLine(atMost: Self.lineBytes) else { return }
                line = next
            } catch is FormatError {
                try await stream.connection.send(ByteBuffer(bytes: OriginalReply.lineTooLong.bytes))
                return try await drain(&stream)
            }
        }
    }

    private func answer(to line: [UInt8], _ stream: inout MessageStream) async throws -> OriginalReply {
        switch OriginalRequest(line: line) {
        case .ping: return .pong
        case .administration: return .refusedCommand(line)
        case .echo(let text): return .echo(text)
        case .notify(let host, let text):
            // The original knows no other answer.
            if settings.value.host(gate).notify {
                _ = await notices.show(DesktopNotice(title: "", body: text, origin: gate.origin(stating: host)))
            }
            return .done
        case .transfer(let transfer): return try await reception.receive(transfer, &stream)
        case .refused(let reply): return reply
        case .unknown: return .unknown(line)
        }
    }

    /// Lets the peer read the answer: closing over what it has written would take it back.
    private func drain(_ stream: inout MessageStream) async throws {
        let timer = stream.connection.deadline(in: TransferLimits.farewellSeconds)
        defer { timer.cancel() }
        var left = Self.drainedBytes
        while left > 0, let bytes = try await stream.nextBytes(atMost: left) { left -= bytes.readableBytes }
    }
}
