// SPDX-License-Identifier: MIT

/// Every bound of the protocol and of the queues behind it, in one place (`docs/protocol.md` sections 3 and 6).
package enum TransferLimits {
    /// Bytes of the first line of a connection.
    package static let firstLineBytes = 64 << 10
    /// Bytes of HELLO and first request before base64url.
    package static let greetingBytes = 48 << 10
    /// Bytes of a message before the peer has been let into a transfer.
    package static let requestBytes = 16 << 10
    /// Raw bytes under way and not durable, per transfer.
    package static let creditBytes: UInt64 = 64 << 20
    /// Segments of standard input, 4 MiB each, that are kept until they are durable.
    package static let spoolSlots = 16
    /// Data connections of one transfer.
    package static let dataConnections = 8
    /// Verified bytes that start a sync.
    package static let commitBytes = 16 << 20
    /// Milliseconds after the first verified frame until a sync starts.
    package static let commitDelay = 500
    /// Milliseconds between two RECEIVED.
    package static let receivedInterval = 100
    /// Buffers of one read call each that are read ahead on one connection.
    package static let readAheadBuffers = 2
    /// Milliseconds between two RECEIVED where `promptBytes` are not reported yet.
    package static let promptInterval = 20
    /// Bytes that are worth a RECEIVED of their own.
    package static let promptBytes: UInt64 = 128 << 10
    /// Bytes of all compression contexts of a sender together.
    package static let contextBytes = 50 << 20
    /// Bytes of one read call.
    package static let readBytes = 256 << 10
    /// Frames that are compressed and wait for a connection.
    package static let readyFrames = 1
    /// Seconds from accept until the first line must be complete.
    package static let firstLineSeconds: Int64 = 10
    /// Seconds for the answer to a handshake while looking for a socket.
    package static let probeSeconds: Int64 = 2
    /// Seconds for the answer to a handshake on a socket that is known to live.
    package static let answerSeconds: Int64 = 10
    /// Seconds that a peer has to close after the last answer.
    package static let farewellSeconds: Int64 = 5
    /// Seconds between heartbeats.
    package static let heartbeatSeconds: Int64 = 15
    /// Seconds of silence that end a connection.
    package static let idleSeconds: Int64 = 45
}
