// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import TestSupport
import Testing

struct RecordTests {
    /// What each golden record says.
    static let golden: [String: Record] = [
        "header": .header(.standard),
        "header small": .header(ContentChunker.Parameters(minimum: 64, average: 64, maximum: 64)!),
        "folder": entry(
            0,
            "results",
            .folder,
            mode: 0o755,
            modified: Timestamp(seconds: 1_700_000_000, nanoseconds: 5)
        ),
        "folder within": entry(7, in: 0, "naïve 日本", .folder, mode: 0o7777, modified: time(0)),
        "file empty": entry(
            1,
            in: 0,
            "empty",
            .file(size: 0),
            mode: 0o4777,
            modified: Timestamp(seconds: -1, nanoseconds: 999_999_999)
        ),
        "file": entry(
            127,
            in: 127,
            String(repeating: "a", count: 255),
            .file(size: 128),
            modified: Timestamp(seconds: 1, nanoseconds: 1)
        ),
        "file largest": entry(
            .max - 1,
            in: .max - 2,
            "x",
            .file(size: .max),
            mode: 0,
            modified: time(.min)
        ),
        "file latest": entry(128, "-rf", .file(size: 16_384), mode: 0o600, modified: time(.max)),
        "stream": entry(300, "stdin", .file(size: nil), modified: time(1_700_000_000)),
        "symlink": entry(
            301,
            in: 0,
            "link",
            .symlink(target: "../runs.bin"),
            mode: 0o777,
            modified: Timestamp(seconds: 2, nanoseconds: 3)
        ),
        "symlink longest": entry(
            302,
            in: 0,
            "far",
            .symlink(target: String(repeating: "t", count: 4_095)),
            mode: 0o777,
            modified: Timestamp(seconds: 2, nanoseconds: 3)
        ),
        "hard link": entry(
            303,
            in: 0,
            "again",
            .hardLink(to: 127),
            modified: Timestamp(seconds: 4, nanoseconds: 5)
        ),
        "chunks one": list(1, [chunk(String(repeating: "r", count: 775))]),
        "chunks holes": list(300, [.hole(length: 1), chunk("x"), .hole(length: .max)], isLast: false),
        "chunks none": list(300, []),
        "retract changed": .retract(entry: 300, reason: .changed),
        "retract unreadable": .retract(entry: .max - 1, reason: .unreadable),
        "retract vanished": .retract(entry: 0, reason: .vanished),
    ]

    private static func time(_ seconds: Int64) -> Timestamp { Timestamp(seconds: seconds, nanoseconds: 0) }

    @Test func `golden records decode to their values and encode to their bytes`() throws {
        let file = try GoldenFile("archive/records.txt")
        #expect(Set(file.names) == Set(Self.golden.keys))
        for (name, record) in Self.golden {
            let bytes = try file[name]
            #expect(try records(in: bytes) == [record], "\(name)")
            #expect(encoded([record]) == bytes, "\(name)")
        }
    }

    @Test func `records that are cut at any byte are refused`() throws {
        let file = try GoldenFile("archive/records.txt")
        for name in file.names {
            let bytes = try file[name]
            for count in 1..<bytes.count {
                #expect(formatFailure { _ = try records(in: Array(bytes.prefix(count))) } != nil, "\(name) to \(count)")
            }
        }
    }

    @Test func `bodies that are cut at any byte, or go on, are refused`() throws {
        let file = try GoldenFile("archive/records.txt")
        for name in file.names where !name.hasPrefix("chunks") {
            let bytes = try file[name]
            let body = try read(bytes) { reader throws(FormatError) in
                _ = try reader.u8()
                return try reader.byteString("body", atMost: 1 << 20).copy
            }
            for count in 0..<body.count {
                let cut = rawRecord(bytes[0], Array(body.prefix(count)))
                #expect(formatFailure { _ = try records(in: cut) } != nil, "\(name) to \(count)")
            }
            for extra in [0, 1, 0x80] as [UInt8] {
                let long = rawRecord(bytes[0], body + [extra])
                #expect(formatFailure { _ = try records(in: long) } == "a record is longer than its fields", "\(name)")
            }
        }
    }

    @Test func `every other type of record is refused`() {
        for type in (0...255 as ClosedRange<UInt8>) where !(1...4).contains(type) {
            #expect(formatFailure { _ = try records(in: rawRecord(type, [])) } == "unknown type of record")
        }
    }

    @Test func `every other kind of entry is refused`() {
        for kind in (0...255 as ClosedRange<UInt8>) where !(1...4).contains(kind) {
            var raw = RawEntry()
            raw.kind = kind
            #expect(formatFailure { _ = try records(in: raw.bytes) } == "unknown kind of entry")
        }
    }

    @Test func `every reserved flag is refused`() {
        for flags in (1...255 as ClosedRange<UInt8>) {
            for kind in 1...4 as ClosedRange<UInt8> {
                var raw = RawEntry(kind: kind, flags: flags)
                raw.tail = [[], [0], [1, 0x78], [0]][Int(kind) - 1]
                let isStream = kind == 2 && flags == 1
                #expect((formatFailure { _ = try records(in: raw.bytes) } == nil) == isStream, "\(kind), \(flags)")
            }
            let sentence = formatFailure { _ = try records(in: rawRecord(3, [0, flags])) }
            #expect(sentence == (flags == 1 ? nil : "reserved flags of a chunk list"))
        }
        for reason in (0...255 as ClosedRange<UInt8>) {
            let isKnown = (1...3).contains(reason)
            #expect((formatFailure { _ = try records(in: rawRecord(4, [0, reason])) } == nil) == isKnown)
        }
    }

    @Test func `a stream announces no size`() {
        let raw = RawEntry(kind: 2, flags: 1, tail: [1])
        #expect(formatFailure { _ = try records(in: raw.bytes) } == "a stream announces no size")
    }

    @Test func `an empty chunk list must be the last`() {
        #expect(formatFailure { _ = try records(in: rawRecord(3, [0, 0])) } == "a chunk list without items goes on")
    }

    @Test(arguments: edges) func `each number of a record is taken up to its limit`(_ value: UInt64) throws {
        func takes(_ bytes: [UInt8]) -> Bool { formatFailure { _ = try records(in: bytes) } == nil }
        let isNumber = value <= UInt64(UInt32.max) - 1
        #expect(takes(RawEntry(number: value).bytes) == isNumber)
        #expect(takes(RawEntry(parent: value).bytes) == (value <= UInt64(UInt32.max)))
        #expect(takes(RawEntry(mode: value).bytes) == (value <= 0o7777))
        #expect(takes(RawEntry(seconds: value).bytes))
        #expect(takes(RawEntry(nanoseconds: value).bytes) == (value <= 999_999_999))
        #expect(takes(RawEntry(kind: 2, tail: varint(value)).bytes) == (value <= UInt64(Int64.max)))
        #expect(takes(RawEntry(kind: 4, tail: varint(value)).bytes) == isNumber)
        #expect(takes(rawRecord(3, varint(value) + [1])) == isNumber)
        #expect(takes(rawRecord(4, varint(value) + [1])) == isNumber)
        // A hole of `value >> 1` bytes; a chunk of as many.
        #expect(takes(rawRecord(3, [0, 1] + varint(value | 1))) == (value > 1))
        let item = varint(value & ~1) + [UInt8](repeating: 0, count: 32)
        #expect(takes(rawRecord(3, [0, 1] + item)) == (value >> 1 >= 1 && value >> 1 <= 4 << 20))
        // A length of the record itself: nothing that long follows.
        #expect(!takes([4] + varint(value) + [0]))
        #expect(!takes(RawEntry(kind: 3, tail: varint(value) + [0x78]).bytes) || value == 1)
        let name: [UInt8] = [3, 1, 0, 0] + varint(value)
        #expect(!takes(rawRecord(2, name + [0x78, 0, 0, 0])) || value == 1)
    }

    @Test(
        arguments: [
            (0o7777, 999_999_999, true), (0o10000, 0, false), (0, 1_000_000_000, false),
        ] as [(UInt64, UInt64, Bool)]
    )
    func `mode and nanoseconds end where the spec says`(_ mode: UInt64, _ nanoseconds: UInt64, _ isTaken: Bool) {
        let raw = RawEntry(mode: mode, nanoseconds: nanoseconds)
        #expect((formatFailure { _ = try records(in: raw.bytes) } == nil) == isTaken)
    }

    @Test func `a chunk ends at 4 MiB and a symlink at 4,095 bytes`() {
        func chunkFailure(_ length: UInt64) -> String? {
            formatFailure {
                _ = try records(in: rawRecord(3, [0, 1] + varint(length << 1) + [UInt8](repeating: 0, count: 32)))
            }
        }
        #expect(chunkFailure(4 << 20) == nil)
        #expect(chunkFailure(4 << 20 + 1) == "a chunk is longer than 4 MiB")
        #expect(chunkFailure(0) == "an item of a chunk list is empty")
        func linkFailure(_ target: [UInt8]) -> String? {
            formatFailure {
                _ = try records(in: RawEntry(kind: 3, tail: varint(UInt64(target.count)) + target).bytes)
            }
        }
        #expect(linkFailure([UInt8](repeating: 0x78, count: 4_095)) == nil)
        #expect(linkFailure([UInt8](repeating: 0x78, count: 4_096)) == "target is over its limit")
        #expect(linkFailure([]) == "the target of a symlink")
        #expect(linkFailure([0x78, 0]) == "the target of a symlink")
        #expect(linkFailure([0xFF]) == "target is not valid UTF-8")
    }

    @Test(
        arguments: [
            ([1, 64, 64, 64], true), ([1, 524_288, 2_097_152, 4_194_304], true), ([0, 64, 64, 64], false),
            ([2, 64, 64, 64], false), ([.max, 64, 64, 64], false), ([1, 0, 64, 64], false), ([1, 63, 64, 64], false),
            ([1, 65, 64, 64], false), ([1, 64, 65, 128], false), ([1, 64, 128, 64], false),
            ([1, 64, 64, 4_194_305], false), ([1, 64, 64, .max], false), ([1, .max, .max, .max], false),
        ] as [([UInt64], Bool)]
    )
    func `a header is taken with version 1 and sizes in order`(_ numbers: [UInt64], _ isTaken: Bool) {
        let bytes = rawRecord(1, numbers.flatMap(varint))
        #expect((formatFailure { _ = try records(in: bytes) } == nil) == isTaken)
    }

    @Test func `a record has at most 64 KiB with type and length`() {
        // A list of holes is the one record that can be of any length.
        func record(_ count: Int) -> [UInt8] { rawRecord(3, [0, 1] + [UInt8](repeating: 3, count: count - 6)) }
        #expect(record(65_536).count == 65_536)
        #expect(formatFailure { _ = try records(in: record(65_536)) } == nil)
        #expect(formatFailure { _ = try records(in: record(65_537)) } != nil)
        #expect(formatFailure { _ = try records(in: record(80_000)) } != nil)
    }

    @Test func `batches hold whole records and at most 64 KiB`() throws {
        var batches = RecordBatches()
        var expected: [Record] = []
        for number in 0..<3_000 as Range<UInt32> {
            let record = file(number, String(repeating: "n", count: 1 + Int(number) % 255), Int64(number))
            expected.append(record)
            batches.append(record)
        }
        #expect(batches.batches.count > 5)
        var found: [Record] = []
        for batch in batches.batches {
            #expect(batch.bytes.count <= 65_536)
            let some = try records(in: batch.bytes)
            #expect(some.count == batch.recordCount)
            found += some
        }
        #expect(found == expected)
    }

    @Test(arguments: [0, 1, 1_024, 1_025, 5_000]) func `a long chunk list is cut in records`(_ count: Int) throws {
        let items = (0..<count).map { chunk(1 + $0 % 7) }
        var batches = RecordBatches()
        batches.append(chunksOf: 9, items: items, isLast: true)
        var found: [ChunksRecord.Item] = []
        let lists = try batches.batches.flatMap { try records(in: $0.bytes) }
        for (position, record) in lists.enumerated() {
            guard case .chunks(let list) = record else {
                Issue.record("not a chunk list")
                return
            }
            #expect(list.entry == 9)
            #expect(list.isLast == (position == lists.count - 1))
            #expect(!list.items.isEmpty || count == 0)
            found += list.items
        }
        #expect(found == items)
    }
}
