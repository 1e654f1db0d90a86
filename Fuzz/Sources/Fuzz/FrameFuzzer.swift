// SPDX-License-Identifier: MIT

import NIOCore

@testable import Archive
@testable import Codecs
@testable import Transfer

/// FRAME and RECORDS: headers, the rule of lengths, and decompressing to exactly the promised bytes.
enum FrameFuzzer {
    nonisolated(unsafe) private static var decompressor: Decompressor = {
        guard let made = try? Decompressor() else { fatalError("no decompressor") }
        return made
    }()

    static func run(_ bytes: [UInt8]) {
        var input = InputReader(bytes)
        let rawBytes = Int(input.number() % UInt64(ArchiveLimits.frameBytes + 1))
        let body = input.remainder()
        body.withSpan { span in
            var reader = ByteReader(span)
            guard let header = try? FrameHeader(from: &reader) else { return }
            let used = body.count - reader.remaining
            var encoded: [UInt8] = []
            header.encode(to: &encoded)
            precondition(encoded.elementsEqual(body.prefix(used)), "a header has one encoding")
            decompress(reader.rest(), header.codec, rawBytes)
        }
        if let records = try? RecordsMessage.decode(ByteBuffer(bytes: body), with: &decompressor) {
            precondition((1...ArchiveLimits.recordBytes).contains(records.count), "records over their limit")
        }
    }

    private static func decompress(_ payload: RawSpan, _ codec: Codec, _ rawBytes: Int) {
        guard (try? PayloadRule.check(codec, payloadBytes: payload.byteCount, rawBytes: rawBytes)) != nil else {
            return
        }
        var output = [UInt8](repeating: 0, count: rawBytes)
        output.withUnsafeMutableBytes { raw in
            var span = raw.mutableBytes
            try? decompressor.decompress(payload, as: codec, into: &span)
        }
    }
}
