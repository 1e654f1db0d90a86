// SPDX-License-Identifier: MIT

package import Codecs

/// The part of a frame before its payload (`docs/archive-format.md` section 4).
package struct FrameHeader: Sendable, Hashable {
    /// The sender's count of frames on this epoch.
    package var number: UInt64
    package var codec: Codec
    /// Ordinals of the chunks that the payload holds, ascending.
    package var runs: [ClosedRange<UInt64>]

    package init(number: UInt64, codec: Codec, runs: [ClosedRange<UInt64>]) {
        self.number = number
        self.codec = codec
        self.runs = runs
    }

    /// Bytes that `encode` writes for so many runs.
    package static func byteCount(runs: Int) -> Int { 12 + 12 * runs }

    package func encode(to output: inout [UInt8]) {
        precondition(!runs.isEmpty && runs.count <= ArchiveLimits.frameRuns, "a frame is built within its limits")
        output.append(u64: number)
        output.append(codec.rawValue)
        output.append(0)
        output.append(u16: UInt16(runs.count))
        for run in runs {
            output.append(u64: run.lowerBound)
            output.append(u32: UInt32(run.count))
        }
    }

    /// Decodes the header; the reader is left at the payload.
    package init(from reader: inout ByteReader) throws(FormatError) {
        number = try reader.u64()
        guard let codec = Codec(rawValue: try reader.u8()) else { throw FormatError("unknown codec") }
        self.codec = codec
        try reader.reserved(1)
        let count = Int(try reader.u16())
        guard (1...ArchiveLimits.frameRuns).contains(count) else { throw FormatError("number of runs of a frame") }
        runs = []
        runs.reserveCapacity(count)
        var chunks = 0
        for _ in 0..<count {
            let first = try reader.u64()
            let length = try reader.u32()
            chunks += Int(length)
            guard length >= 1, chunks <= ArchiveLimits.frameChunks else { throw FormatError("chunks of a frame") }
            let (last, overflow) = first.addingReportingOverflow(UInt64(length - 1))
            guard !overflow, runs.last.map({ $0.upperBound < first }) ?? true else {
                throw FormatError("the runs of a frame overlap or do not ascend")
            }
            runs.append(first...last)
        }
        guard !reader.isAtEnd else { throw FormatError("a frame without a payload") }
    }
}
