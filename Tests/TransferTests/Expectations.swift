// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import NIOCore
import Testing
import Transfer

/// The sentence of the `FormatError` that the call throws, nil when it succeeds; anything else it throws is an issue.
func formatFailure(_ body: () throws -> Void) -> String? {
    do {
        try body()
    } catch let error as FormatError {
        return error.description
    } catch TransferError.malformed(let error) {
        return error.description
    } catch {
        Issue.record(error)
    }
    return nil
}

func encoded(_ message: Message) -> [UInt8] {
    var bytes: [UInt8] = []
    message.encode(to: &bytes)
    return bytes
}

func encoded(_ records: [Record]) -> [UInt8] {
    var bytes: [UInt8] = []
    for record in records { record.encode(to: &bytes) }
    return bytes
}

/// A message of any type and body, encoded without the checks of the real encoder.
func rawMessage(_ kind: UInt8, _ body: [UInt8], length: UInt32? = nil, reserved: [UInt8] = [0, 0, 0]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(u32: length ?? UInt32(body.count))
    return bytes + [kind] + reserved + body
}

/// A reader of a connection that belongs to a transfer.
func transferReader() -> MessageReader {
    var reader = MessageReader()
    reader.bodyLimit = .max
    return reader
}

/// A stream of a connection that belongs to a transfer.
func transferStream(_ connection: SocketConnection, counting received: ReceivedCount = ReceivedCount()) -> MessageStream
{
    var stream = MessageStream(connection)
    stream.received = received
    return stream
}

/// Says RECEIVED as a receiver does, until it is cancelled or the connection ends.
func reporting(_ received: ReceivedCount, on connection: SocketConnection) -> Task<Void, any Error> {
    Task {
        while true {
            try await connection.send(.received(Received(bytes: received.bytes, records: 0)))
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// All messages in bytes that come at once.
func messages(in bytes: [UInt8]) throws -> [RawMessage] {
    var reader = transferReader()
    reader.append(ByteBuffer(bytes: bytes))
    var messages: [RawMessage] = []
    while let message = try reader.nextMessage() { messages.append(message) }
    guard reader.isBetweenMessages else { throw FormatError("ends inside a message") }
    return messages
}

/// The one message in bytes.
func decoded(_ bytes: [UInt8]) throws -> Message {
    let all = try messages(in: bytes)
    guard all.count == 1 else { throw FormatError("not one message") }
    return try all[0].decoded()
}

func name(_ text: String) -> EntryName {
    do throws(EntryName.Fault) {
        return try EntryName(validating: text.utf8)
    } catch {
        fatalError("\(text): \(error.rawValue)")
    }
}

func digest(_ bytes: [UInt8]) -> Digest {
    do throws(CodecError) {
        return try bytes.withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) }
    } catch {
        fatalError(error.description)
    }
}

/// Numbers at which a field of any width may break.
let edges: [UInt64] = [
    0, 1, 1 << 31 - 1, 1 << 31, 1 << 31 + 1, 1 << 32 - 2, 1 << 32 - 1, 1 << 32, 1 << 32 + 1, 1 << 63 - 1, 1 << 63, .max,
]

// MARK: - Records, in short

let header = Record.header(.standard)

/// A file; without a size a stream.
func file(_ number: UInt32, _ text: String, _ size: Int64?) -> Record {
    .entry(
        EntryRecord(
            number: number,
            parent: nil,
            name: name(text),
            mode: 0o644,
            modified: Timestamp(seconds: 1_600_000_000, nanoseconds: 7),
            content: .file(size: size)
        )
    )
}

/// The whole list of a file whose chunks are these.
func list(_ entry: UInt32, _ contents: [[UInt8]], isLast: Bool = true) -> Record {
    .chunks(
        ChunksRecord(
            entry: entry,
            isLast: isLast,
            items: contents.map { .chunk(length: $0.count, digest: digest($0)) }
        )
    )
}
