// SPDX-License-Identifier: MIT

import NIOCore

@testable import Archive
@testable import Transfer

/// The stream of messages, cut into pieces that the input chooses, and the greeting.
enum MessageFuzzer {
    static func run(_ bytes: [UInt8]) {
        var input = InputReader(bytes)
        var reader = MessageReader()
        let step = Int(input.byte()) + 1
        if input.byte() & 1 == 1 { reader.bodyLimit = .max }
        let lines = Int(input.byte() % 3)
        let rest = input.remainder()
        read(rest, step, lines, &reader)
        _ = try? Greeting.messages(inLine: rest)
        _ = try? Greeting.messages(inLine: Array("XCAPS 1 ".utf8) + rest)
    }

    private static func read(_ bytes: [UInt8], _ step: Int, _ lines: Int, _ reader: inout MessageReader) {
        var linesLeft = lines
        for start in stride(from: 0, to: bytes.count, by: step) {
            reader.append(ByteBuffer(bytes: bytes[start..<min(start + step, bytes.count)]))
            do throws(FormatError) {
                while linesLeft > 0, try reader.nextLine(atMost: 4_096) != nil { linesLeft -= 1 }
                guard linesLeft == 0 else { continue }
                while let raw = try reader.nextMessage() {
                    check(raw)
                    reader.recycle(raw.body)
                }
            } catch {
                return
            }
        }
    }

    /// What was decoded says the same when it is encoded and decoded again.
    private static func check(_ raw: RawMessage) {
        guard let message = try? raw.decoded() else { return }
        var encoded: [UInt8] = []
        message.encode(to: &encoded)
        var reader = MessageReader()
        reader.bodyLimit = .max
        reader.append(ByteBuffer(bytes: encoded))
        guard let again = try? reader.nextMessage()?.decoded() else { preconditionFailure("a message is not its own") }
        var second: [UInt8] = []
        again.encode(to: &second)
        precondition(second == encoded, "a message changes on its way")
    }
}
