// SPDX-License-Identifier: MIT

/// The connection of a transfer that was opened, and the way to more of them.
package struct SenderLink: Sendable {
    /// Opens one more data connection; nil where the daemon wants no more.
    package typealias Connect = @Sendable () async throws -> SocketConnection?

    package let control: SocketConnection
    package let stream: MessageStream
    package let opened: Opened
    package let connect: Connect
    let pace: LinkPace

    /// The same link, read on from `stream`.
    init(_ link: SenderLink, readOnFrom stream: MessageStream) {
        control = link.control
        self.stream = stream
        opened = link.opened
        connect = link.connect
        pace = link.pace
    }

    package init(stream: MessageStream, opened: Opened, connect: @escaping Connect) {
        control = stream.connection
        self.stream = stream
        self.opened = opened
        self.connect = connect
        pace = LinkPace(control: stream.connection)
    }
}

/// A new link was got, but its daemon knows nothing of the transfer: it is to begin anew on that link.
package struct TransferForgotten: Error {
    package let link: SenderLink
}
