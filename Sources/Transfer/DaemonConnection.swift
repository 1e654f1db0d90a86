// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
package import NIOCore

/// A connection whose daemon has said WELCOME.
package struct DaemonConnection: Sendable {
    package let connection: SocketConnection
    /// Where it was opened.
    package let address: UnixAddress
    /// Bytes that come behind the handshake.
    package let stream: MessageStream
    package let welcome: Welcome
    /// The answer to the request that went with the handshake.
    package let answer: Message?

    /// Connects, shakes hands and sends the first request, all in one round trip.
    ///
    /// That a connection opens proves nothing: a half-dead sshd accepts and never replies. So the answer has an
    /// absolute deadline, after which `TransferError.noAnswer` is thrown; so it is where the peer is another user.
    package static func open(
        _ address: UnixAddress,
        hello: Hello,
        request: Message?,
        within seconds: Int64,
        on group: any EventLoopGroup
    ) async throws -> DaemonConnection {
        let connection = try await SocketConnection.connecting(to: address, on: group)
        let timer = connection.deadline(in: seconds)
        defer { timer.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await shakeHands(on: connection, address, hello: hello, request: request)
            } onCancel: {
                connection.close()
            }
        } catch {
            connection.close()
            if case TransferError.linkLost = error { throw TransferError.noAnswer }
            throw error
        }
    }

    private static func shakeHands(
        on connection: SocketConnection,
        _ address: UnixAddress,
        hello: Hello,
        request: Message?
    ) async throws -> DaemonConnection {
        try await connection.send(ByteBuffer(bytes: Greeting.request([.hello(hello)] + (request.map { [$0] } ?? []))))
        var stream = MessageStream(connection)
        // An original daemon says the whole line back.
        guard let line = try await stream.nextLine(atMost: TransferLimits.firstLineBytes + 64) else {
            throw TransferError.noAnswer
        }
        if line.starts(with: "ERROR 100 ".utf8) { throw TransferError.originalDaemon(address) }
        guard let messages = try Greeting.messages(inLine: line) else {
            throw TransferError.malformed(FormatError("the answer to the greeting"))
        }
        switch messages[0] {
        case .refused(let abort): throw TransferError.peer(abort)
        case .welcome(let welcome):
            guard try await stream.nextLine(atMost: TransferLimits.firstLineBytes) == Array("OK PONG".utf8) else {
                throw TransferError.malformed(FormatError("the answer to the greeting"))
            }
            if messages.count > 1, case .refused(let abort) = messages[1] { throw TransferError.peer(abort) }
            return DaemonConnection(
                connection: connection,
                address: address,
                stream: stream,
                welcome: welcome,
                answer: messages.count > 1 ? messages[1] : nil
            )
        default: throw TransferError.malformed(FormatError("the answer to the greeting"))
        }
    }
}
