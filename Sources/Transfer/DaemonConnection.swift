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
        return try await open(on: connection, address, announcedBy: nil, hello, request, within: seconds)
    }

    /// Shakes hands over a connected descriptor, such as a program's standard input and output, that leads to `address`.
    ///
    /// Everything before a line that is `mark` is passed over: what a login says before the program runs.
    package static func open(
        over descriptor: consuming OwnedDescriptor,
        _ address: UnixAddress,
        announcedBy mark: String? = nil,
        hello: Hello,
        request: Message?,
        within seconds: Int64,
        on group: any EventLoopGroup
    ) async throws -> DaemonConnection {
        let connection = try await SocketConnection.adopting(descriptor, on: group)
        return try await open(on: connection, address, announcedBy: mark, hello, request, within: seconds)
    }

    private static func open(
        on connection: SocketConnection,
        _ address: UnixAddress,
        announcedBy mark: String?,
        _ hello: Hello,
        _ request: Message?,
        within seconds: Int64
    ) async throws -> DaemonConnection {
        let timer = connection.deadline(in: seconds)
        defer { timer.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await shakeHands(on: connection, address, announcedBy: mark, hello: hello, request: request)
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
        announcedBy mark: String?,
        hello: Hello,
        request: Message?
    ) async throws -> DaemonConnection {
        try await connection.send(ByteBuffer(bytes: Greeting.request([.hello(hello)] + (request.map { [$0] } ?? []))))
        var stream = MessageStream(connection)
        if let mark {
            while let line = try await stream.nextLine(atMost: TransferLimits.firstLineBytes) {
                if line == Array(mark.utf8) { break }
            }
        }
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
