// SPDX-License-Identifier: MIT

package import Archive
package import NIOCore

/// A message as it came: its kind and its body, not yet decoded.
package struct RawMessage: Sendable {
    package let kind: MessageKind
    package var body: ByteBuffer

    /// Decodes everything but RECORDS and FRAME.
    package func decoded() throws(FormatError) -> Message {
        try body.withReadableSpan { span throws(FormatError) in try Message(kind, body: span) }
    }
}

/// Cuts a stream of bytes into first lines and messages, however it arrives in pieces.
///
/// A value without I/O.
///
/// A body is gathered in a buffer of its own, sized by the checked length, so that nothing is copied twice.
package struct MessageReader: Sendable {
    private static let headerBytes = 8

    /// Bytes that belong to no message yet.
    private var buffer = ByteBuffer()
    private var current: (kind: MessageKind, length: Int, body: ByteBuffer)?
    /// Length of a frame whose body is not gathered before `admitFrame`.
    private var announced: Int?
    /// The body of an earlier message, to be filled again.
    private var spare = ByteBuffer()

    /// Most bytes of a body now, whatever its kind allows: a peer that has not been let in is given little memory.
    package var bodyLimit = TransferLimits.requestBytes

    /// Frames wait for `admitFrame` before more than their header is taken.
    package var holdsFrames = false

    package init() {}

    package var isBetweenMessages: Bool { current == nil && announced == nil && buffer.readableBytes == 0 }

    /// Takes bytes as they were read.
    package mutating func append(_ bytes: consuming ByteBuffer) {
        if current != nil {
            gather(from: &bytes)
        }
        if bytes.readableBytes > 0 {
            buffer.discardReadBytes()
            buffer.writeBuffer(&bytes)
        }
    }

    /// The next line without its end, nil while it is not complete; `limit` bytes at most.
    package mutating func nextLine(atMost limit: Int) throws(FormatError) -> [UInt8]? {
        let view = buffer.readableBytesView
        guard let end = view.prefix(limit).firstIndex(of: UInt8(ascii: "\n")) else {
            guard view.count < limit else { throw FormatError("a line is longer than its limit") }
            return nil
        }
        var line = Array(view[view.startIndex..<end])
        buffer.moveReaderIndex(forwardBy: line.count + 1)
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }

    /// Gives back the body of a message that nobody needs any more; a large one is kept for the next.
    package mutating func recycle(_ body: consuming ByteBuffer) {
        if body.capacity > spare.capacity { spare = body }
    }

    /// Up to `count` bytes that are no message: the payload of the line protocol.
    package mutating func nextBytes(atMost count: Int) -> ByteBuffer? {
        guard buffer.readableBytes > 0 else { return nil }
        return buffer.readSlice(length: min(count, buffer.readableBytes))
    }

    /// The next whole message, nil while it is not complete.
    package mutating func nextMessage() throws(FormatError) -> RawMessage? {
        if current == nil, announced == nil { try beginMessage() }
        guard let message = current, message.body.readableBytes == message.length else { return nil }
        current = nil
        return RawMessage(kind: message.kind, body: message.body)
    }

    private mutating func beginMessage() throws(FormatError) {
        guard buffer.readableBytes >= Self.headerBytes else { return }
        let header = buffer.readSlice(length: Self.headerBytes) ?? ByteBuffer()
        let (length, number) = try header.withReadableSpan { span throws(FormatError) in
            var reader = ByteReader(span)
            let length = try reader.u32()
            let number = try reader.u8()
            try reader.reserved(3)
            return (Int(length), number)
        }
        guard let kind = MessageKind(rawValue: number) else { throw FormatError("unknown type of message") }
        guard length <= min(kind.limit, bodyLimit) else { throw FormatError("a message is longer than its limit") }
        if holdsFrames, kind == .frame { announced = length } else { gather(kind, length) }
    }

    /// The header of the frame that waits to be admitted; nil while there is none or not all of it is there.
    package func announcedFrame() throws(FormatError) -> FrameHeader? {
        guard let announced else { return nil }
        return try buffer.withReadableSpan { span throws(FormatError) in
            let head = FrameHeader.byteCount(runs: 0)
            let there = min(announced, span.byteCount)
            guard there >= head else {
                guard there < announced else { throw FormatError("a frame is shorter than its header") }
                return nil
            }
            var counts = ByteReader(span.extracting((head - 2)..<head))
            let runs = Int(try counts.u16())
            guard runs <= ArchiveLimits.frameRuns else { throw FormatError("number of runs of a frame") }
            // With the first byte of its payload, which a frame has.
            let whole = FrameHeader.byteCount(runs: runs) + 1
            guard there >= whole else {
                guard there < announced else { throw FormatError("a frame is shorter than its header") }
                return nil
            }
            var reader = ByteReader(span.extracting(0..<whole))
            return try FrameHeader(from: &reader)
        }
    }

    /// Goes on with the body of the frame that was announced.
    package mutating func admitFrame() {
        guard let length = announced else { return }
        announced = nil
        gather(.frame, length)
    }

    private mutating func gather(_ kind: MessageKind, _ length: Int) {
        var body = spare
        spare = ByteBuffer()
        body.clear()
        body.reserveCapacity(length)
        // Moved, not copied: a second reference here would make the first write copy the whole buffer.
        current = (kind, length, consume body)
        var rest = buffer
        buffer = ByteBuffer()
        gather(from: &rest)
        buffer = rest
    }

    private mutating func gather(from bytes: inout ByteBuffer) {
        guard var message = current else { return }
        current = nil
        let want = min(message.length - message.body.readableBytes, bytes.readableBytes)
        if want > 0, var piece = bytes.readSlice(length: want) { message.body.writeBuffer(&piece) }
        current = message
    }
}

extension ByteBuffer {
    /// Lends the readable bytes.
    package func withReadableSpan<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let result: Result<R, E> = unsafe withUnsafeReadableBytes { raw in
            do throws(E) { return .success(try body(raw.bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    package init(_ message: Message) {
        var bytes: [UInt8] = []
        message.encode(to: &bytes)
        self.init(bytes: bytes)
    }
}
