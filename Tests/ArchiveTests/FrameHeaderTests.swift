// SPDX-License-Identifier: MIT

import Archive
import Codecs
import TestSupport
import Testing

struct FrameHeaderTests {
    @Test func `golden frames decode to their headers and encode to their bytes`() throws {
        let file = try GoldenFile("archive/frames.txt")
        let expected = [
            "zlib": FrameHeader(number: 0, codec: .zlib, runs: [0...0]),
            "stored": FrameHeader(number: 1, codec: .stored, runs: [1...1, 3...3]),
            "zstd": FrameHeader(number: 2, codec: .zstd, runs: [2...2]),
            "largest": FrameHeader(number: .max, codec: .stored, runs: [0...0, (.max - 1) ... .max]),
        ]
        #expect(Set(file.names) == Set(expected.keys))
        for (name, header) in expected {
            let bytes = try file[name]
            let payload = try read(bytes) { reader throws(FormatError) in
                let found = try FrameHeader(from: &reader)
                #expect(found == header, "\(name)")
                return reader.rest().copy
            }
            var written: [UInt8] = []
            header.encode(to: &written)
            #expect(written.count == FrameHeader.byteCount(runs: header.runs.count))
            #expect(written + payload == bytes, "\(name)")
        }
    }

    @Test func `golden payloads decode to the chunks of the golden manifest`() throws {
        let file = try GoldenFile("archive/frames.txt")
        let raw = [
            "zlib": [UInt8](repeating: UInt8(ascii: "r"), count: 775), "stored": Array("middle world".utf8),
            "zstd": [UInt8](repeating: UInt8(ascii: "z"), count: 1_000),
        ]
        for (name, expected) in raw {
            #expect(try decodedPayload(of: try file[name], count: expected.count) == expected, "\(name)")
        }
    }

    @Test func `a frame that is cut at any byte before its payload is refused`() throws {
        let file = try GoldenFile("archive/frames.txt")
        for name in file.names {
            let bytes = try file[name]
            let runs = Int(bytes[10])
            for count in 0...FrameHeader.byteCount(runs: runs) {
                #expect(failure(Array(bytes.prefix(count))) != nil, "\(name) to \(count)")
            }
        }
    }

    @Test func `codecs, reserved bits and runs are checked`() {
        #expect(failure(frame()) == nil)
        for codec in 3...255 as ClosedRange<UInt8> { #expect(failure(frame(codec: codec)) == "unknown codec") }
        for reserved in 1...255 as ClosedRange<UInt8> {
            #expect(failure(frame(reserved: reserved)) == "a reserved byte is not 0")
        }
        #expect(failure(frame(runs: [])) == "number of runs of a frame")
        #expect(failure(frame(runs: (0..<1_024).map { (UInt64($0) * 2, 1) })) == nil)
        #expect(failure(frame(runs: (0..<1_025).map { (UInt64($0) * 2, 1) })) == "number of runs of a frame")
        #expect(failure(frame(runs: [(0, 16_384)])) == nil)
        #expect(failure(frame(runs: [(0, 16_385)])) == "chunks of a frame")
        #expect(failure(frame(runs: [(0, 16_384), (20_000, 1)])) == "chunks of a frame")
        #expect(failure(frame(runs: [(0, 0)])) == "chunks of a frame")
    }

    @Test(
        arguments: [
            [(0, 1), (0, 1)], [(0, 2), (1, 1)], [(5, 1), (4, 1)], [(5, 10), (0, 1)], [(0, 3), (2, 3)],
            [(.max, 2)], [(.max - 1, 3)], [(.max, 1), (0, 1)],
        ] as [[(UInt64, UInt32)]]
    )
    func `runs ascend, do not overlap and end within 64 bits`(_ runs: [(UInt64, UInt32)]) {
        #expect(failure(frame(runs: runs)) == "the runs of a frame overlap or do not ascend")
    }

    @Test(arguments: edges) func `no number of a frame traps`(_ value: UInt64) {
        #expect(failure(frame(number: value)) == nil)
        #expect(failure(frame(runs: [(value, 1)])) == nil)
        let count = UInt32(truncatingIfNeeded: value)
        let isTaken = (1...16_384).contains(count)
        #expect((failure(frame(runs: [(0, count)])) == nil) == isTaken)
        #expect(failure(frame(runs: [(0, count), (1 << 40, .max), (1 << 50, .max)])) != nil)
    }

    private func frame(
        number: UInt64 = 7,
        codec: UInt8 = 0,
        reserved: UInt8 = 0,
        runs: [(UInt64, UInt32)] = [(3, 2), (5, 1)]
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(u64: number)
        bytes += [codec, reserved]
        bytes.append(u16: UInt16(runs.count))
        for run in runs {
            bytes.append(u64: run.0)
            bytes.append(u32: run.1)
        }
        return bytes + [0xAA]
    }

    private func failure(_ bytes: [UInt8]) -> String? {
        formatFailure { _ = try read(bytes) { reader throws(FormatError) in try FrameHeader(from: &reader) } }
    }
}

/// What the payload of a whole frame decodes to.
func decodedPayload(of frame: [UInt8], count: Int) throws -> [UInt8] {
    let (header, payload) = try read(frame) { reader throws(FormatError) in
        (try FrameHeader(from: &reader), reader.rest().copy)
    }
    var decompressor = try Decompressor()
    var raw = [UInt8](repeating: 0, count: count)
    try raw.withUnsafeMutableBytes { buffer in
        var output = buffer.mutableBytes
        try payload.withSpan { (span: RawSpan) throws(CodecError) in
            try decompressor.decompress(span, as: header.codec, into: &output)
        }
    }
    return raw
}
