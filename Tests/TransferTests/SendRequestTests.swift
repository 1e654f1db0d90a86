// SPDX-License-Identifier: MIT

import Archive
import Codecs
import TestSupport
import Testing
import Transfer

/// Requests, items and results against the golden bytes of `docs/archive-format.md` section 10.
struct SendRequestTests {
    private static let inbox = [UInt8](0x30..<0x40)

    private var request: SendRequest {
        var request = SendRequest(sources: ["/data/runs/a", "/data/b é"])
        request.output = "monday/"
        request.isRecursive = true
        request.skipsLinks = true
        request.excludes = ["*.ckpt"]
        request.includes = ["best.ckpt"]
        request.excludeFiles = [Array("tmp/\n".utf8)]
        return request
    }

    private func golden(_ name: String) throws -> [UInt8] { try GoldenFile("archive/home.txt")[name] }

    /// The inbox that the golden ids are made with.
    private func goldenInbox() throws -> [UInt8] {
        let bytes = try GoldenFile("protocol/messages.txt")["welcome"]
        guard case .welcome(let welcome) = try decoded(bytes) else { return [] }
        return welcome.inbox
    }

    @Test func `a request has its golden bytes, name and id`() throws {
        #expect(request.encoded == (try golden("request")))
        #expect(try SendRequest(decoding: golden("request")) == request)
        #expect(try request.name() == golden("name"))
        let digits = try golden("id").map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(try request.identifier(inbox: goldenInbox()) == digits)
    }

    @Test func `whatever changes what arrives makes another send`() throws {
        var ids: Set<String> = [try request.identifier(inbox: Self.inbox)]
        func expectNew(_ change: (inout SendRequest) -> Void) throws {
            var other = request
            change(&other)
            #expect(try ids.insert(other.identifier(inbox: Self.inbox)).inserted)
        }
        try expectNew { $0.sources.reverse() }
        try expectNew { $0.sources.removeLast() }
        try expectNew { $0.output = nil }
        try expectNew { $0.output = "" }
        try expectNew { $0.isRecursive = false }
        try expectNew { $0.copiesLinks = true }
        try expectNew { $0.skipsLinks = false }
        try expectNew { $0.excludes = [] }
        try expectNew { swap(&$0.excludes, &$0.includes) }
        try expectNew { $0.excludeFiles.append([]) }
        #expect(try ids.insert(request.identifier(inbox: Self.inbox.reversed())).inserted)
    }

    @Test func `a request without absolute sources is refused`() throws {
        for sources in [[], ["a"], ["/a", "b"]] {
            #expect(formatFailure { _ = try SendRequest(decoding: SendRequest(sources: sources).encoded) } != nil)
        }
    }

    @Test func `an item has its golden bytes, and none that is cut or changed is read`() throws {
        var item = OutboxItem(
            identity: try goldenIdentity(),
            request: request,
            laptop: "laptop",
            queued: 1_800_000_000,
            compression: "zlib:3"
        )
        item.inbox = try goldenInbox()
        let bytes = try golden("item")
        #expect(try item.encode() == bytes)
        #expect(OutboxItem(bytes) == item)
        for length in 0..<bytes.count { #expect(OutboxItem(Array(bytes.prefix(length))) == nil) }
        for position in bytes.indices {
            var changed = bytes
            changed[position] ^= 1
            #expect(OutboxItem(changed) == nil)
        }
    }

    private func goldenIdentity() throws -> TransferIdentity {
        guard case .open(let open) = try decoded(GoldenFile("protocol/messages.txt")["open"]) else {
            return .random()
        }
        return TransferIdentity(transfer: open.transfer, secret: open.secret)
    }

    @Test func `a result has its golden bytes`() throws {
        var result = OutboxResult(status: 5, ended: 1_800_000_001, sources: request.sources)
        result.laptop = "laptop"
        result.names = ["monday/a", ""]
        result.files = 2
        result.byteCount = 1 << 40
        result.messages = ["/data/c: vanished"]
        #expect(try result.encode() == golden("done"))
        #expect(OutboxResult(try golden("done")) == result)
    }
}
