// SPDX-License-Identifier: MIT

private import Archive
private import NIOCore
import Transfer

/// One end of the link between the worker and the process that runs the desktop's programs: whole messages.
struct DesktopLink: Sendable {
    let connection: SocketConnection
    private var unread = ByteBuffer()

    init(_ connection: SocketConnection) { self.connection = connection }

    func send(_ message: [UInt8]) async throws { try await connection.send(ByteBuffer(bytes: message)) }

    /// The next message without its length; nil at the end of the stream.
    mutating func next() async throws -> [UInt8]? {
        while true {
            if let length = unread.getInteger(at: unread.readerIndex, endianness: .little, as: UInt32.self) {
                guard length <= DesktopRequest.messageLimit else { throw FormatError("a message is too long") }
                if unread.readableBytes >= 4 + Int(length) {
                    unread.moveReaderIndex(forwardBy: 4)
                    defer { unread.discardReadBytes() }
                    return unread.readBytes(length: Int(length))
                }
            }
            guard var bytes = try await connection.receive() else { return nil }
            unread.writeBuffer(&bytes)
        }
    }
}
