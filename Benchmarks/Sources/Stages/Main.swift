// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors

/// Measures each stage of a send alone, on one core and real files, and prints a table.
///
///     swift run -c release --package-path Benchmarks Stages FOLDER [SCRATCH]
///
/// FOLDER is what is packed, by its absolute path (its first 64 MiB); SCRATCH an empty folder to extract to, best on a
/// memory file system.
@main struct Main {
    static func main() throws {
        guard CommandLine.arguments.count > 1 else {
            print("usage: Stages FOLDER [SCRATCH]")
            return
        }
        let folder = CommandLine.arguments[1]
        let sample = try Sample(folder, limit: 64 << 20)
        print("\(sample.fileCount) files, \(sample.byteCount) bytes, \(sample.frames.count) frames\n")
        print(Measurement.header)
        try reading(folder, sample)
        try coding(sample)
        try packing(sample)
        if CommandLine.arguments.count > 2 { try extracting(sample, to: CommandLine.arguments[2]) }
    }

    private static func reading(_ folder: String, _ sample: Sample) throws {
        let slab = try Slab(capacity: ArchiveLimits.frameBytes)
        var digester = Digester()
        _ = try Measurement("walk, open, read, hash, describe", bytes: sample.byteCount, files: sample.fileCount) {
            let planner = try Sample.planner(folder)
            var total = 0
            while total < sample.byteCount, let planned = planner.next(into: slab) {
                total += try planned.pack(into: slab, digester: &digester).rawBytes
            }
        }
        _ = try Measurement("SHA-256 of each chunk", bytes: sample.byteCount, files: sample.fileCount) {
            for frame in sample.frames {
                var offset = 0
                for length in frame.chunks {
                    try frame.bytes.borrowed(offset..<(offset + length)) { _ = try digester.digest($0) }
                    offset += length
                }
            }
        }
        let chunker = ContentChunker()
        _ = try Measurement("content cuts", bytes: sample.byteCount) {
            for frame in sample.frames {
                var offset = 0
                while offset < frame.bytes.count {
                    try frame.bytes.borrowed(offset..<frame.bytes.count) { window in
                        offset += chunker.firstCut(in: window, isLast: true) ?? window.byteCount
                    }
                }
            }
        }
    }

    private static func coding(_ sample: Sample) throws {
        let bytes = sample.batches.reduce(0) { $0 + $1.count }
        _ = try Measurement("records: decode and index", bytes: bytes, files: sample.fileCount) {
            var index = ArchiveIndex()
            for batch in sample.batches {
                try batch.borrowed(0..<batch.count) { span in
                    try Record.decodeBatch(span) { record throws(FormatError) in _ = try index.apply(record) }
                }
            }
        }
        _ = try Measurement("frame headers, 1,000 of 8 runs", bytes: 1_000 * FrameHeader.byteCount(runs: 8)) {
            let runs = (0..<8).map { UInt64($0 * 1_000)...UInt64($0 * 1_000 + 99) }
            for number in 0..<1_000 {
                var output: [UInt8] = []
                FrameHeader(number: UInt64(number), codec: .zstd, runs: runs).encode(to: &output)
                // A header without a payload is refused.
                output.append(0)
                try output.borrowed(0..<output.count) { span in
                    var reader = ByteReader(span)
                    _ = try FrameHeader(from: &reader)
                }
            }
        }
        _ = try Measurement("probe for packed bytes", bytes: sample.byteCount) {
            for frame in sample.frames {
                try frame.bytes.borrowed(0..<frame.bytes.count) { _ = CompressibilityProbe.isWorthCompressing($0) }
            }
        }
    }

    private static func packing(_ sample: Sample) throws {
        var output = [UInt8](repeating: 0, count: ArchiveLimits.frameBytes)
        for compression: Compression in [.zstd(-7), .zstd(-3), .zstd(1), .zstd(3), .zstd(6), .zstd(9), .zlib(1)] {
            var compressor = try Compressor(compression)
            var decompressor = try Decompressor()
            var packed: [(bytes: [UInt8], count: Int)] = []
            for frame in sample.frames {
                let count = try frame.bytes.compress(into: &output, with: &compressor)
                if let count { packed.append((Array(output.prefix(count)), frame.bytes.count)) }
            }
            let share = packed.reduce(0) { $0 + $1.bytes.count } * 1_000 / max(1, packed.reduce(0) { $0 + $1.count })
            _ = try Measurement("\(compression), to \(share) of 1,000", bytes: sample.byteCount, runs: 3) {
                for frame in sample.frames { _ = try frame.bytes.compress(into: &output, with: &compressor) }
            }
            let raw = packed.reduce(0) { $0 + $1.count }
            _ = try Measurement("\(compression), back", bytes: raw, runs: 3) {
                for frame in packed {
                    try output.withUnsafeMutableBytes { buffer in
                        var span = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<frame.count]).mutableBytes
                        try frame.bytes.borrowed(0..<frame.bytes.count) {
                            try decompressor.decompress($0, as: compression.codec, into: &span)
                        }
                    }
                }
            }
        }
    }

    private static func extracting(_ sample: Sample, to scratch: String) throws {
        let destination = try Directory.open(scratch)
        var digester = Digester()
        let readBack = try Slab(capacity: 256 << 10)
        var number = 0
        _ = try Measurement(
            "extract: write, read back, hash",
            bytes: sample.byteCount,
            files: sample.fileCount,
            runs: 3
        ) {
            number += 1
            let staging = try Staging(in: destination, name: "run\(number)")
            var index = ArchiveIndex()
            for batch in sample.batches {
                var steps: [StagingStep] = []
                try batch.borrowed(0..<batch.count) { span in
                    try staging.keep(records: span)
                    try Record.decodeBatch(span) { record throws(FormatError) in
                        if let step = try index.apply(record) { steps.append(step) }
                    }
                }
                _ = try staging.perform(steps)
            }
            var next: UInt64 = 0
            for frame in sample.frames {
                let end = next + UInt64(frame.chunks.count)
                let targets = try index.claim([next...(end - 1)])
                next = end
                var offset = 0
                for target in targets {
                    try frame.bytes.borrowed(offset..<(offset + target.length)) {
                        _ = try staging.write(target, bytes: $0, digester: &digester, scratch: readBack)
                    }
                    offset += target.length
                }
            }
            try staging.remove()
        }
    }
}

extension [UInt8] {
    /// Lends a part of the array.
    func borrowed(_ range: Range<Int>, _ body: (RawSpan) throws -> Void) throws {
        try unsafe withUnsafeBytes { try body(unsafe UnsafeRawBufferPointer(rebasing: $0[range]).bytes) }
    }

    func compress(into output: inout [UInt8], with compressor: inout Compressor) throws -> Int? {
        try unsafe withUnsafeBytes { input in
            try unsafe output.withUnsafeMutableBytes { buffer in
                var span = unsafe buffer.mutableBytes
                return try compressor.compress(unsafe input.bytes, into: &span)
            }
        }
    }
}
