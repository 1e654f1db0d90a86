// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import NIOCore

/// Decodes one frame and writes its chunks: the work of one bench.
struct FrameJob: Sendable {
    let staging: Staging
    let codec: Codec
    let payload: ByteBuffer
    let targets: [ChunkTarget]

    func run(at bench: Workbench) throws -> [Staging.Refusal] {
        let rawBytes = targets.reduce(0) { $0 + $1.length }
        try PayloadRule.check(codec, payloadBytes: payload.readableBytes, rawBytes: rawBytes)
        do throws(CodecError) {
            try bench.slab.withMutableBytes(0..<rawBytes) { (raw: inout MutableRawSpan) throws(CodecError) in
                try payload.withReadableSpan { (packed: RawSpan) throws(CodecError) in
                    try bench.decompressor.decompress(packed, as: codec, into: &raw)
                }
            }
        } catch {
            throw TransferError.malformed(FormatError(error.description))
        }
        var refusals: [Staging.Refusal] = []
        var offset = 0
        for target in targets {
            let range = offset..<(offset + target.length)
            offset += target.length
            let refusal = try bench.slab.withBytes(range) { (bytes: RawSpan) throws(StagingError) in
                try staging.write(target, bytes: bytes, digester: &bench.digester, scratch: bench.scratch)
            }
            if let refusal { refusals.append(refusal) }
        }
        return refusals
    }
}
