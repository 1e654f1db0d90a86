// SPDX-License-Identifier: MIT

package import Archive
package import NIOCore
private import Synchronization

/// Bytes read on the connections of one transfer, for RECEIVED and for noticing silence.
package final class ReceivedCount: Sendable {
    private let count = Atomic<UInt64>(0)

    package init() {}

    package var bytes: UInt64 { count.load(ordering: .relaxed) }

    package func add(_ bytes: Int) {
        count.add(UInt64(bytes), ordering: .relaxed)
    }
}

/// Lines, then messages, from one connection.
///
/// Has one owner, the task that receives.
package struct MessageStream: Sendable {
    package let connection: SocketConnection
    /// Counts what is read from now on; set when the connection belongs to a transfer, whose messages may be long.
    package var received: ReceivedCount? {
        didSet { reader.bodyLimit = received == nil ? TransferLimits.requestBytes : .max }
    }

    private var reader = MessageReader()

    package init(_ connection: SocketConnection) {
        self.connection = connection
    }

    /// The next line without its end; nil where the stream ends before a byte of it.
    package mutating func nextLine(atMost limit: Int) async throws -> [UInt8]? {
        while true {
            if let line = try reader.nextLine(atMost: limit) { return line }
            guard try await readMore() else {
                guard reader.isBetweenMessages else { throw TransferError.linkLost }
                return nil
            }
        }
    }

    /// The next message; nil where the stream ends between two.
    ///
    /// A frame's body is read when `admit` has returned: until then no more than its header is held.
    package mutating func nextMessage(
        admit: ((FrameHeader) async throws -> Void)? = nil
    ) async throws -> RawMessage? {
        reader.holdsFrames = admit != nil
        while true {
            var announced: FrameHeader?
            do throws(FormatError) {
                if let message = try reader.nextMessage() { return message }
                announced = try reader.announcedFrame()
            } catch {
                throw TransferError.malformed(error)
            }
            if let announced {
                try await admit?(announced)
                reader.admitFrame()
                continue
            }
            guard try await readMore() else {
                guard reader.isBetweenMessages else { throw TransferError.linkLost }
                return nil
            }
        }
    }

    /// Gives back the body of a message that is done with.
    package mutating func recycle(_ message: consuming RawMessage) {
        reader.recycle(message.body)
    }

    /// The next bytes that are no message, at most `count`; nil at the end of the stream.
    package mutating func nextBytes(atMost count: Int) async throws -> ByteBuffer? {
        while true {
            if let bytes = reader.nextBytes(atMost: count) { return bytes }
            guard try await readMore() else { return nil }
        }
    }

    private mutating func readMore() async throws -> Bool {
        guard let bytes = try await connection.receive() else { return false }
        received?.add(bytes.readableBytes)
        reader.append(bytes)
        return true
    }
}
