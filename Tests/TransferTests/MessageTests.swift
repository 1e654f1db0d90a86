// SPDX-License-Identifier: MIT

import Archive
import Codecs
import NIOCore
import TestSupport
import Testing
import Transfer

struct MessageTests {
    private static let key = [UInt8](0..<32)
    private static let secret = [UInt8](32..<64)
    private static let inbox = [UInt8](0..<16)
    private static let transfer = TransferID(rawValue: 0x0807_0605_0403_0201)

    /// What each golden message says.
    static let golden: [String: Message] = {
        var welcome = Welcome(
            codecs: [CodecSet(.stored), CodecSet(.zstd)],
            software: "rtun 1.0",
            inbox: inbox,
            displayName: "laptop",
            label: "cluster"
        )
        welcome.isKnown = true
        var committed = Committed()
        committed.names = ["results (2)", ""]
        committed.files = 4
        committed.bytes = 1 << 63
        committed.view = .notOpened
        committed.reason = "no program"
        committed.setting = "view.types"
        var openRequest = OpenRequest(transfer: transfer, secret: secret, purpose: .send, destination: [])
        openRequest.request = Array(0..<16)
        openRequest.isAnew = true
        var openSkipping = OpenRequest(transfer: transfer, secret: secret, purpose: .send, destination: [])
        openSkipping.conflict = .skip
        return [
            "hello": .hello(Hello(codecs: .all, software: "rtun 1.0", sourceKey: key, hostName: "gpu-node é")),
            "hello without key": .hello(
                Hello(codecs: CodecSet(.stored), software: "", sourceKey: nil, hostName: "")
            ),
            "welcome": .welcome(welcome),
            "refused": .refused(Abort(.policy, "not allowed", setting: "view.allow")),
            "echo": .echo([0, 0xFF] + Array("back".utf8)),
            "echoed": .echoed([]),
            "notify": .notify(NotifyRequest(title: "done", body: "epoch 9\nloss 0.1", urgency: 2)),
            "notify with id": .notify(
                NotifyRequest(title: "", body: "epoch 10", urgency: 1, id: "training", expiry: 30)
            ),
            "notified": .notified(.heldBack),
            "open": .open(
                OpenRequest(
                    transfer: transfer,
                    secret: secret,
                    purpose: .send,
                    destination: [name("runs"), name("2026")]
                )
            ),
            "open view": .open(OpenRequest(transfer: transfer, secret: secret, purpose: .view, destination: [])),
            "open request": .open(openRequest),
            "open skip": .open(openSkipping),
            "open update": .open(
                OpenRequest(
                    transfer: transfer,
                    secret: secret,
                    purpose: .view,
                    destination: [],
                    place: [UInt8](1...16),
                    isUpdate: true
                )
            ),
            "open page": .open(
                OpenRequest(
                    transfer: transfer,
                    secret: secret,
                    purpose: .view,
                    destination: [],
                    page: name("report.html")
                )
            ),
            "opened": .opened(Opened(epoch: 300, credit: 67_108_864, channels: 8)),
            "attach": .attach(AttachRequest(transfer: transfer, secret: secret, epoch: 300)),
            "attached": .attached,
            "forget": .forget(request: Array(0..<16)),
            "forgotten": .forgotten,
            "have": .have(Have(answered: 1 << 33, ranges: [0...0, 2...(1 << 32)])),
            "have nothing": .have(Have(answered: .max, ranges: [])),
            "received": .received(Received(bytes: .max, records: 7)),
            "opened again": .opened(
                Opened(
                    epoch: 301,
                    credit: 64 << 20,
                    channels: 8,
                    taken: Opened.Taken(records: 1_000, chunks: 1 << 40)
                )
            ),
            "durable": .durable([0...2, 5...5]),
            "reject": .reject(Rejection(entry: .max, cause: .nameStands, path: "results/README")),
            "committed": .committed(committed),
            "committed plain": .committed(Committed()),
            "heartbeat": .heartbeat,
            "abort": .abort(Abort(.integrity, "not what was sent")),
        ]
    }()

    @Test func `golden messages decode to their values and encode to their bytes`() throws {
        let file = try GoldenFile("protocol/messages.txt")
        #expect(Set(file.names) == Set(Self.golden.keys).union(["commit"]))
        for (name, message) in Self.golden {
            let bytes = try file[name]
            #expect(try decoded(bytes) == message, "\(name)")
            #expect(encoded(message) == bytes, "\(name)")
        }
    }

    @Test func `the golden COMMIT is that of the golden manifest`() throws {
        let manifest = try GoldenFile("archive/manifest.txt")
        let bytes = try GoldenFile("protocol/messages.txt")["commit"]
        let commit = Commit(
            records: UInt64(try manifest["records"][0]),
            frames: 3,
            manifest: digest(try manifest["manifest"])
        )
        #expect(try decoded(bytes) == .commit(commit))
        #expect(encoded(.commit(commit)) == bytes)
    }

    @Test func `golden RECORDS decode to whole records`() throws {
        let file = try GoldenFile("protocol/payloads.txt")
        var decompressor = try Decompressor()
        let stored = try messages(in: try file["records stored"])[0]
        #expect(stored.kind == .records)
        #expect(try RecordsMessage.decode(stored.body, with: &decompressor) == encoded([header]))
        let packed = try messages(in: try file["records zstd"])[0]
        #expect(try RecordsMessage.decode(packed.body, with: &decompressor) == [UInt8](repeating: 0, count: 1_000))
        let frame = try messages(in: try file["frame"])[0]
        #expect(frame.kind == .frame)
        #expect(throws: FormatError.self) { try frame.decoded() }
    }

    @Test func `a body that is cut inside a field or a range is refused`() throws {
        let file = try GoldenFile("protocol/messages.txt")
        for name in file.names where !name.hasPrefix("echo") {
            let bytes = try file[name]
            let body = Array(bytes.dropFirst(8))
            // Between two fields or ranges a body may end; then it says something else.
            var ends: Set<Int> = []
            switch MessageKind(rawValue: bytes[4]) {
            case .commit, .received: break
            case .have: ends = Set(stride(from: 8, to: body.count, by: 12))
            case .durable: ends = Set(stride(from: 0, to: body.count, by: 12))
            default: ends = try fieldEnds(body)
            }
            for count in 0..<body.count where !ends.contains(count) {
                let cut = rawMessage(bytes[4], Array(body.prefix(count)))
                #expect(formatFailure { _ = try decoded(cut) } != nil, "\(name) to \(count)")
            }
        }
    }

    /// Where one field ends and the next may begin.
    private func fieldEnds(_ body: [UInt8]) throws -> Set<Int> {
        try body.withSpan { (span: RawSpan) throws(FormatError) in
            var reader = ByteReader(span)
            var ends: Set<Int> = [0]
            while !reader.isAtEnd {
                _ = try reader.varint("tag")
                _ = try reader.byteString("field", atMost: body.count)
                ends.insert(body.count - reader.remaining)
            }
            return ends
        }
    }

    @Test func `fixed bodies are refused one byte short or long`() {
        for (kind, length) in [(0x32, 48), (0x42, 16), (0x50, 0), (0x43, 12), (0x40, 20)] as [(UInt8, Int)] {
            let body = [UInt8](repeating: 0, count: length)
            // A range of no chunks is refused too, so give it one.
            var whole = body
            if length % 12 == 8 && length > 8 || length == 12 { whole[length - 4] = 1 }
            #expect(formatFailure { _ = try decoded(rawMessage(kind, whole)) } == nil, "\(kind)")
            if length > 0 {
                #expect(formatFailure { _ = try decoded(rawMessage(kind, whole.dropLast())) } != nil, "\(kind)")
            }
            #expect(formatFailure { _ = try decoded(rawMessage(kind, whole + [1])) } != nil, "\(kind)")
        }
    }

    // MARK: - Fields

    typealias Pair = (UInt64, [UInt8])

    @Test func `unknown fields are skipped and known ones found behind them`() throws {
        let expected = Message.opened(Opened(epoch: 1, credit: 2, channels: 3))
        #expect(try decoded(fields(0x21, [(0, [9]), (1, [1]), (2, [2]), (3, [3])])) == expected)
        #expect(
            try decoded(fields(0x21, [(1, [1]), (2, [2]), (3, [3]), (6, []), (99, [1, 2]), (.max, [])])) == expected
        )
        #expect(try decoded(fields(0x23, [(1, [1]), (77, [])])) == .attached)
    }

    @Test func `fields out of order are refused`() {
        #expect(
            formatFailure { _ = try decoded(fields(0x21, [(2, [2]), (1, [1]), (3, [3])])) }
                == "the fields of a message are out of order"
        )
        #expect(
            formatFailure { _ = try decoded(fields(0x21, [(1, [1]), (2, [2]), (3, [3]), (9, []), (8, [])])) } != nil
        )
    }

    /// Each message of fields, with bodies that are whole.
    static let whole: [(UInt8, [Pair])] = [
        (0x01, [(1, [1]), (2, [1]), (3, [0x61]), (4, key), (5, [0x61])]),
        (0x02, [(1, [1]), (2, [1]), (3, []), (4, inbox), (5, []), (6, []), (7, [0])]),
        (0x03, [(1, [1]), (2, []), (3, [])]),
        (0x12, [(1, []), (2, []), (3, [0])]),
        (0x13, [(1, [0])]),
        (0x20, [(1, Array(key.prefix(8))), (2, key), (3, [0])]),
        (0x21, [(1, [1]), (2, [2]), (3, [3])]),
        (0x22, [(1, Array(key.prefix(8))), (2, key), (3, [0])]),
        (0x44, [(1, [1]), (2, [2]), (3, [])]),
        (0x45, [(2, [1]), (3, [2]), (4, [0]), (5, []), (6, [])]),
        (0x51, [(1, [1]), (2, []), (3, [])]),
    ]

    @Test(arguments: whole.indices) func `a field that may stand once is refused twice`(_ position: Int) {
        let (kind, pairs) = Self.whole[position]
        #expect(formatFailure { _ = try decoded(fields(kind, pairs)) } == nil)
        for index in pairs.indices {
            var twice = pairs
            twice.insert(pairs[index], at: index)
            #expect(formatFailure { _ = try decoded(fields(kind, twice)) } != nil, "field \(pairs[index].0)")
        }
    }

    @Test(
        arguments: [
            (0x01, [1, 2]), (0x02, [1, 2, 4]), (0x03, [1]), (0x20, [1, 2]), (0x21, [1, 2, 3]), (0x22, [1, 2, 3]),
            (0x44, [1, 2]), (0x51, [1]),
        ] as [(UInt8, Set<UInt64>)]
    )
    func `a message without a field that it needs is refused`(_ kind: UInt8, _ required: Set<UInt64>) throws {
        let pairs = try #require(Self.whole.first { $0.0 == kind }).1
        for index in pairs.indices {
            var rest = pairs
            let (tag, _) = rest.remove(at: index)
            #expect((formatFailure { _ = try decoded(fields(kind, rest)) } != nil) == required.contains(tag), "\(tag)")
        }
    }

    @Test(arguments: whole.indices) func `numbers fill their field and traps have none`(_ position: Int) {
        let (kind, pairs) = Self.whole[position]
        for index in pairs.indices where pairs[index].1.count == 1 && pairs[index].1[0] < 0x60 {
            for bad in [[], [0x80], [0x80, 0x00], [1, 0], [1, 1], [UInt8](repeating: 0xFF, count: 11)] as [[UInt8]] {
                var changed = pairs
                changed[index].1 = bad
                #expect(formatFailure { _ = try decoded(fields(kind, changed)) } != nil, "field \(pairs[index].0)")
            }
            for value in edges {
                var bytes: [UInt8] = []
                bytes.append(varint: value)
                var changed = pairs
                changed[index].1 = bytes
                // Taken or refused, but never a trap.
                _ = formatFailure { _ = try decoded(fields(kind, changed)) }
            }
        }
    }

    @Test(
        arguments: [
            (0x01, 3, 64), (0x01, 5, 255), (0x02, 3, 64), (0x02, 5, 64), (0x02, 6, 32), (0x03, 2, 512), (0x03, 3, 128),
            (0x12, 1, 256), (0x12, 2, 8_192), (0x44, 3, 4_000), (0x45, 5, 512), (0x45, 6, 128), (0x51, 2, 512),
            (0x51, 3, 128),
        ] as [(UInt8, UInt64, Int)]
    )
    func `text is valid UTF-8 and ends at its limit`(_ kind: UInt8, _ tag: UInt64, _ limit: Int) throws {
        let pairs = try #require(Self.whole.first { $0.0 == kind }).1
        let index = try #require(pairs.firstIndex { $0.0 == tag })
        func failure(_ bytes: [UInt8]) -> String? {
            var changed = pairs
            changed[index].1 = bytes
            return formatFailure { _ = try decoded(fields(kind, changed)) }
        }
        #expect(failure([UInt8](repeating: 0x61, count: limit)) == nil)
        #expect(failure([UInt8](repeating: 0x61, count: limit + 1)) == "the text of field \(tag)")
        #expect(failure([0xFF]) == "the text of field \(tag)")
        #expect(failure([0xC0, 0xAF]) == "the text of field \(tag)")
    }

    @Test(
        arguments: [(0x01, 4, 32), (0x02, 4, 16), (0x20, 1, 8), (0x20, 2, 32), (0x22, 1, 8), (0x22, 2, 32)]
            as [(UInt8, UInt64, Int)]
    )
    func `keys and secrets have exactly their length`(_ kind: UInt8, _ tag: UInt64, _ length: Int) throws {
        let pairs = try #require(Self.whole.first { $0.0 == kind }).1
        let index = try #require(pairs.firstIndex { $0.0 == tag })
        for count in [0, length - 1, length + 1, 255] {
            var changed = pairs
            changed[index].1 = [UInt8](repeating: 1, count: count)
            #expect(formatFailure { _ = try decoded(fields(kind, changed)) } == "field \(tag) has the wrong length")
        }
    }

    // MARK: - What single messages mean

    @Test func `a peer takes stored frames and one version`() {
        let hello = Self.whole[0].1
        #expect(formatFailure { _ = try decoded(fields(0x01, [hello[0], (2, [6])])) } != nil)
        #expect(formatFailure { _ = try decoded(fields(0x01, [(1, [9]), (2, [0x7F])])) } == nil)
        for version in [0, 2] as [UInt8] {
            var welcome = Self.whole[1].1
            welcome[0].1 = [version]
            #expect(formatFailure { _ = try decoded(fields(0x02, welcome)) } == "a version that was not offered")
        }
    }

    @Test func `codes, causes and outcomes of a later version read as the plainest of this one`() throws {
        for code in [0, 16, 255] as [UInt64] {
            #expect(try decoded(fields(0x51, [(1, number(code))])) == .abort(Abort(.internal, "")))
        }
        for code in 1...15 as ClosedRange<UInt8> {
            #expect(try decoded(fields(0x51, [(1, [code])])) == .abort(Abort(AbortCode(rawValue: code)!, "")))
        }
        #expect(try decoded(fields(0x51, [(1, number(256 + 3))])) == .abort(Abort(.internal, "")))
        for cause in [0, 5, 256 + 1, .max] as [UInt64] {
            #expect(
                try decoded(fields(0x44, [(1, [1]), (2, number(cause))]))
                    == .reject(Rejection(entry: 1, cause: .nameNotTaken, path: ""))
            )
        }
        #expect(formatFailure { _ = try decoded(fields(0x44, [(1, number(1 << 32)), (2, [1])])) } != nil)
        #expect(
            try decoded(fields(0x12, [(3, number(.max))])) == .notify(NotifyRequest(title: "", body: "", urgency: 2))
        )
        #expect(try decoded(fields(0x12, [])) == .notify(NotifyRequest(title: "", body: "", urgency: 1)))
    }

    @Test func `a destination is made of names`() {
        let begin = Self.whole[5].1
        func failure(_ names: [String]) -> String? {
            formatFailure { _ = try decoded(fields(0x20, begin + names.map { (4, Array($0.utf8)) })) }
        }
        #expect(failure(["a", "b", "..."]) == nil)
        #expect(failure(["a", ".rtun-part"]) == nil)
        for bad in ["", ".", "..", "a/b", "/a", "a\0", "a\u{202E}", String(repeating: "x", count: 256)] {
            #expect(failure([bad]) != nil)
            #expect(failure(["a", bad]) != nil)
        }
        #expect(failure([".rtun-part"]) == "the folder to deliver to")
        #expect(failure([String](repeating: "a", count: 127)) == nil)
        #expect(failure([String](repeating: "a", count: 128)) == "the folder to deliver to")
        #expect(formatFailure { _ = try decoded(fields(0x20, [begin[0], begin[1], (3, [2])])) } == "unknown purpose")
        // A page belongs to a view, and is one name.
        for (purpose, page) in [(UInt8(0), "a.html"), (1, "../a.html"), (1, "a/b.html"), (1, ".."), (1, "")] {
            let open = [begin[0], begin[1], (3, [purpose]), (9, Array(page.utf8))]
            #expect(formatFailure { _ = try decoded(fields(0x20, open)) } != nil, "\(page)")
        }
    }

    @Test(
        arguments: [
            [(0, 0)], [(5, 1), (5, 1)], [(5, 2), (6, 1)], [(5, 1), (4, 1)], [(.max, 2)], [(.max, 0)],
            [(1, .max), (9, 1)],
        ] as [[(UInt64, UInt32)]]
    )
    func `ranges ascend, do not overlap and hold something`(_ ranges: [(UInt64, UInt32)]) {
        var body: [UInt8] = []
        for range in ranges {
            body.append(u64: range.0)
            body.append(u32: range.1)
        }
        #expect(formatFailure { _ = try decoded(rawMessage(0x43, body)) } == "ranges overlap or do not ascend")
        let answered = [UInt8](repeating: 0xFF, count: 8)
        #expect(formatFailure { _ = try decoded(rawMessage(0x40, answered + body)) } != nil)
    }

    @Test func `a reason is cut to what a message may hold, whole characters at a time`() throws {
        let long = String(repeating: "é", count: 400)
        guard case .abort(let abort) = try decoded(encoded(.abort(Abort(.internal, long)))) else {
            Issue.record("no ABORT")
            return
        }
        #expect(abort.reason == String(repeating: "é", count: 256))
        #expect("abc".cut(toBytes: 2) == "ab" && "aé".cut(toBytes: 2) == "a" && "é".cut(toBytes: 0) == "")
    }

    @Test func `a transfer's name is 16 digits`() {
        #expect(TransferID(rawValue: 0xAB).description == "00000000000000ab")
        #expect(TransferID(rawValue: .max).description == "ffffffffffffffff")
    }

    // MARK: - RECORDS

    @Test(arguments: [Compression.stored, .zlib(), .zstd()]) func `a batch comes back`(_ compression: Compression)
        throws
    {
        var compressor = try Compressor(compression)
        var decompressor = try Decompressor()
        for count in [1, 100, 129, 5_000, 65_536] {
            for batch in [
                [UInt8](repeating: 7, count: count), (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 ^ $0 >> 3) },
            ] {
                let bytes = try RecordsMessage.encode(batch, with: &compressor, codec: compression.codec)
                let message = try messages(in: Array(bytes.readableBytesView))[0]
                #expect(message.kind == .records)
                #expect(message.body.readableBytes <= count + 8)
                #expect(try RecordsMessage.decode(message.body, with: &decompressor) == batch)
            }
        }
    }

    @Test func `a batch that is no batch is refused`() throws {
        func failure(_ codec: UInt8, _ reserved: [UInt8], _ rawSize: UInt32, _ payload: [UInt8]) -> Bool {
            var body = [codec] + reserved
            body.append(u32: rawSize)
            do {
                var decompressor = try Decompressor()
                _ = try RecordsMessage.decode(ByteBuffer(bytes: body + payload), with: &decompressor)
                return false
            } catch { return true }
        }
        #expect(!failure(0, [0, 0, 0], 1, [4]))
        #expect(failure(3, [0, 0, 0], 1, [4]))
        for position in 0..<3 {
            var reserved: [UInt8] = [0, 0, 0]
            reserved[position] = 1
            #expect(failure(0, reserved, 1, [4]))
        }
        #expect(failure(0, [0, 0, 0], 0, []))
        #expect(failure(0, [0, 0, 0], 2, [4]))
        #expect(failure(0, [0, 0, 0], 1, [4, 4]))
        #expect(!failure(0, [0, 0, 0], 65_536, [UInt8](repeating: 4, count: 65_536)))
        for size in [65_537, 1 << 31, .max] as [UInt32] {
            #expect(failure(0, [0, 0, 0], size, [UInt8](repeating: 4, count: 65_537)))
            #expect(failure(2, [0, 0, 0], size, [0x28, 0xB5, 0x2F, 0xFD]))
        }
        // Compressed to the same length or more: it must have been stored.
        #expect(failure(1, [0, 0, 0], 2, [120, 1, 1, 2, 0, 253, 255, 4, 4, 0, 14, 0, 9]))
        #expect(failure(2, [0, 0, 0], 4, [0x28, 0xB5, 0x2F, 0xFD, 0]))
        #expect(failure(1, [0, 0, 0], 100, [0x78, 0x9C]))
    }

    private func fields(_ kind: UInt8, _ pairs: [Pair]) -> [UInt8] {
        var body: [UInt8] = []
        for (tag, value) in pairs {
            body.append(varint: tag)
            body.append(byteString: value)
        }
        return rawMessage(kind, body)
    }

    private func number(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: value)
        return bytes
    }
}
