// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
package import NIOCore

/// A client's side of the line protocol, with a daemon of the original tool (`docs/protocol.md` section 9.3).
///
/// Has one owner. Silence of 120 s ends it, as the original has it.
package struct OriginalConnection: Sendable {
    static let silenceSeconds: Int64 = 120
    /// Bytes of a reply that are read; the original's have a path at most.
    private static let replyBytes = 16 << 10

    let connection: SocketConnection
    private var stream: MessageStream

    /// Connects, and returns when PING was answered.
    package static func open(
        _ address: UnixAddress,
        within seconds: Int64,
        on group: any EventLoopGroup
    ) async throws -> OriginalConnection {
        let connection = try await SocketConnection.connecting(to: address, on: group)
        let timer = connection.deadline(in: seconds)
        defer { timer.cancel() }
        var made = OriginalConnection(connection: connection, stream: MessageStream(connection))
        do {
            guard try await made.ask("PING") == "OK PONG" else { throw TransferError.noAnswer }
            return made
        } catch {
            connection.close()
            throw TransferError.noAnswer
        }
    }

    /// Says a line and returns the reply to it, without its end.
    package mutating func ask(_ line: String) async throws -> String {
        try await connection.send(ByteBuffer(string: line + "\r\n"))
        return try await nextReply()
    }

    /// Says a line whose reply must be `OK` and returns what stands behind it; throws what else it is.
    package mutating func order(_ line: String) async throws -> String {
        let reply = try await ask(line)
        guard reply == "OK" || reply.hasPrefix("OK ") else { throw TransferError.originalRefused(reply) }
        return String(reply.dropFirst(3))
    }

    /// The next reply, in the order of what was said.
    mutating func nextReply() async throws -> String {
        let timer = connection.deadline(in: Self.silenceSeconds)
        defer { timer.cancel() }
        guard let line = try await stream.nextLine(atMost: Self.replyBytes) else { throw TransferError.linkLost }
        return String(decoding: line, as: UTF8.self)
    }

    package func close() {
        connection.close()
    }
}
