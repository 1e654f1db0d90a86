// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import NIOCore

/// A frame on its way out: packed by one job, its payload made by the same job or by a later one.
///
/// The raw bytes stand in the slab of the bench that it was packed at, the message takes shape in its output.
struct FrameDraft: Sendable {
    let packed: PackedFrame
    /// RECORDS messages, ready to be sent.
    let records: [ByteBuffer]
    /// Nil where the payload is not made yet, or there are no bytes at all.
    var payload: Payload?

    /// What stands in the bench's output.
    struct Payload: Sendable {
        let codec: Codec
        /// Chunks of the draft that it holds, counted from the draft's first one.
        let runs: [Range<Int>]
        let rawBytes: Int
    }

    /// Reads and hashes what was planned; with `makingPayload` compresses it too.
    init(_ planned: PlannedFrame, at bench: Workbench, compression: Compression, makingPayload: Bool) throws {
        packed = try planned.pack(into: bench.slab, digester: &bench.digester)
        try bench.compressor.select(compression)
        records = try packed.records.batches.map {
            try RecordsMessage.encode($0.bytes, with: &bench.compressor, codec: compression.codec)
        }
        guard makingPayload, packed.rawBytes > 0 else { return }
        payload = try Self.makePayload(
            runs: [0..<packed.chunkLengths.count],
            rawBytes: packed.rawBytes,
            at: bench,
            compression: compression
        )
    }

    /// Makes the payload of those chunks alone that are not had; there must be at least one.
    mutating func makePayload(leavingOut had: [Bool], at bench: Workbench, compression: Compression) throws {
        var runs: [Range<Int>] = []
        var source = 0
        var kept = 0
        for (chunk, length) in packed.chunkLengths.enumerated() {
            if !had[chunk] {
                if kept != source { bench.slab.move(source..<(source + length), to: kept) }
                kept += length
                if let last = runs.last, last.upperBound == chunk {
                    runs[runs.count - 1] = last.lowerBound..<(chunk + 1)
                } else {
                    runs.append(chunk..<(chunk + 1))
                }
            }
            source += length
        }
        payload = try Self.makePayload(runs: runs, rawBytes: kept, at: bench, compression: compression)
    }

    /// Writes the header in front of the payload, now that its number and the first ordinal are known.
    func fillHeader(of message: inout ByteBuffer, _ payload: Payload, number: UInt64, firstOrdinal: UInt64) {
        let header = FrameHeader(
            number: number,
            codec: payload.codec,
            runs: payload.runs.map {
                (firstOrdinal + UInt64($0.lowerBound))...(firstOrdinal + UInt64($0.upperBound) - 1)
            }
        )
        var bytes: [UInt8] = []
        bytes.append(u32: UInt32(message.readableBytes - 8))
        bytes.append(u32: UInt32(MessageKind.frame.rawValue))
        header.encode(to: &bytes)
        message.setBytes(bytes, at: message.readerIndex)
    }

    private static func makePayload(
        runs: [Range<Int>],
        rawBytes: Int,
        at bench: Workbench,
        compression: Compression
    ) throws -> Payload {
        let prefix = 8 + FrameHeader.byteCount(runs: runs.count)
        bench.output.clear()
        bench.output.reserveCapacity(8 + FrameHeader.byteCount(runs: 1) + bench.slab.capacity)
        bench.output.writeRepeatingByte(0, count: prefix)
        let raw = 0..<rawBytes
        var packedBytes: Int?
        if compression.codec != .stored {
            try bench.compressor.select(compression)
            packedBytes = try bench.slab.withBytes(raw) { (input: RawSpan) throws in
                try bench.output.writeSpan(atMost: rawBytes) { (output: inout MutableRawSpan) throws(CodecError) in
                    try bench.compressor.compress(input, into: &output)
                }
            }
        }
        if packedBytes == nil {
            // What does not shrink is stored.
            bench.slab.withBytes(raw) { input in
                unsafe input.withUnsafeBytes { _ = unsafe bench.output.writeBytes($0) }
            }
        }
        return Payload(codec: packedBytes == nil ? .stored : compression.codec, runs: runs, rawBytes: rawBytes)
    }
}

extension Workbench {
    /// Hands the message over; the bench keeps none.
    func takeOutput() -> ByteBuffer {
        let message = output
        output = ByteBuffer()
        return message
    }
}

extension ByteBuffer {
    /// Lets `body` write at most `count` bytes at the end; nil from it leaves the buffer as it was.
    fileprivate mutating func writeSpan<E: Error>(
        atMost count: Int,
        _ body: (inout MutableRawSpan) throws(E) -> Int?
    ) throws(E) -> Int? {
        var result: Result<Int?, E> = .success(nil)
        unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: count) { raw in
            var span = unsafe UnsafeMutableRawBufferPointer(rebasing: raw[..<count]).mutableBytes
            do throws(E) { result = .success(try body(&span)) } catch { result = .failure(error) }
            if case .success(let written?) = result { return written }
            return 0
        }
        return try result.get()
    }
}
