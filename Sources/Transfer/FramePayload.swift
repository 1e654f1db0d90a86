// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import NIOCore

/// A FRAME message in the output of a bench, complete but for its number and the ordinals of its chunks.
struct FramePayload: Sendable {
    let codec: Codec
    /// Runs of ordinals that the header has room for.
    let runCount: Int

    /// Compresses the bytes at the start of the bench's slab; what does not shrink, or looks packed, is stored.
    init(rawBytes: Int, runCount: Int, at bench: Workbench, compression: AdaptiveCompression) throws {
        let prefix = 8 + FrameHeader.byteCount(runs: runCount)
        bench.output.clear()
        bench.output.reserveCapacity(8 + FrameHeader.byteCount(runs: 1) + bench.slab.capacity)
        bench.output.writeRepeatingByte(0, count: prefix)
        let raw = 0..<rawBytes
        let setting = compression.current
        var work = AdaptiveCompression.Work()
        let start = (clock: ProcessContext.monotonicNow, core: ProcessContext.threadTime)
        let isTried =
            compression.codec != .stored && bench.slab.withBytes(raw) { CompressibilityProbe.isWorthCompressing($0) }
        var packedBytes: Int?
        if isTried, setting.codec != .stored {
            try bench.compressor.select(setting)
            packedBytes = try bench.slab.withBytes(raw) { (input: RawSpan) throws in
                try bench.output.writeSpan(atMost: rawBytes) { (output: inout MutableRawSpan) throws(CodecError) in
                    try bench.compressor.compress(input, into: &output)
                }
            }
        }
        work.compressing = ProcessContext.monotonicNow - start.clock
        work.computing = ProcessContext.threadTime - start.core
        work.seconds = work.compressing
        work.triedBytes = isTried ? rawBytes : 0
        work.packedBytes = isTried ? packedBytes ?? rawBytes : 0
        compression.note(work)
        if packedBytes == nil {
            bench.slab.withBytes(raw) { input in
                unsafe input.withUnsafeBytes { _ = unsafe bench.output.writeBytes($0) }
            }
        }
        codec = packedBytes == nil ? .stored : setting.codec
        self.runCount = runCount
    }

    /// Writes the header in front of the payload.
    func fillHeader(of message: inout ByteBuffer, number: UInt64, runs: [ClosedRange<UInt64>]) {
        precondition(runs.count == runCount, "the header has the room that was left for it")
        var bytes: [UInt8] = []
        bytes.append(u32: UInt32(message.readableBytes - 8))
        bytes.append(u32: UInt32(MessageKind.frame.rawValue))
        FrameHeader(number: number, codec: codec, runs: runs).encode(to: &bytes)
        message.setBytes(bytes, at: message.readerIndex)
    }
}

extension [ChunkFetch.Wanted] {
    /// The ordinals, which ascend, as runs.
    var runs: [ClosedRange<UInt64>] {
        var runs: [ClosedRange<UInt64>] = []
        for chunk in self {
            if let last = runs.last, last.upperBound + 1 == chunk.ordinal {
                runs[runs.count - 1] = last.lowerBound...chunk.ordinal
            } else {
                runs.append(chunk.ordinal...chunk.ordinal)
            }
        }
        return runs
    }
}

extension Workbench {
    /// Hands the message over.
    ///
    /// One of which little is left, as on a slow line, is copied out of its buffer, which the bench keeps: of those that
    /// wait for the line each would hold the memory of a whole frame.
    func takeOutput() -> ByteBuffer {
        if output.readableBytes < Self.frameBytes * 2 / 5 {
            return ByteBuffer(bytes: output.readableBytesView)
        }
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
