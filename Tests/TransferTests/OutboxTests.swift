// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing
import Transfer

/// Items of the outbox: order, claims, and what becomes of them.
struct OutboxTests {
    private let scratch = ScratchFolder("outbox")

    private func outbox() throws -> Outbox { try Outbox(in: StateFolder(at: scratch.path)) }

    private func add(_ path: String) throws -> String {
        try outbox().add(
            OutboxItem(
                identity: .random(),
                request: SendRequest(sources: [path]),
                laptop: nil,
                queued: 0,
                compression: nil
            )
        )
    }

    private func result(_ status: Int32 = 0) -> OutboxResult {
        OutboxResult(status: status, ended: 1, sources: ["/data"])
    }

    @Test func `items wait in the order in which they came`() throws {
        let ids = try (0..<40).map { try add("/data/\($0)") }
        #expect(try outbox().waiting() == ids)
        #expect(Set(ids).count == 40)
        let listing = try OutboxListing(outbox())
        #expect(listing.items.map(\.item.request.sources) == (0..<40).map { ["/data/\($0)"] })
    }

    @Test func `one of many gets an item`() async throws {
        for number in 0..<20 { _ = try add("/data/\(number)") }
        let path = scratch.path
        let taken = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let outbox = try Outbox(in: StateFolder(at: path))
                    var taken: [String] = []
                    while let next = try outbox.waiting().first {
                        if let claim = try outbox.claim(next) { taken.append(claim.id) }
                    }
                    return taken
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(taken.count == 20)
        #expect(Set(taken).count == 20)
    }

    @Test func `an item that is put back keeps its place, its secret and its laptop`() throws {
        let first = try add("/data/a")
        let second = try add("/data/b")
        var claim = try #require(try outbox().claim(first))
        #expect(try outbox().waiting() == [second])
        let item = try #require(claim.item)
        try claim.bind(to: Array(0..<16))
        try claim.giveBack()
        #expect(try outbox().waiting() == [first, second])
        let again = try #require(try outbox().claim(first)?.item)
        #expect(again.identity == item.identity)
        #expect(again.inbox == Array(0..<16))
    }

    @Test func `a bound item is for one laptop alone`() throws {
        func welcome(_ inbox: UInt8, _ name: String) -> Welcome {
            Welcome(
                codecs: .all,
                software: "",
                inbox: [UInt8](repeating: inbox, count: 16),
                displayName: name,
                label: ""
            )
        }
        func item(_ laptop: String?) throws -> OutboxItem {
            OutboxItem(
                identity: .random(),
                request: SendRequest(sources: ["/a"]),
                laptop: laptop,
                queued: 0,
                compression: nil
            )
        }
        #expect(try item(nil).isFor(welcome(1, "x")))
        #expect(try item("x").isFor(welcome(1, "x")))
        #expect(try !item("y").isFor(welcome(1, "x")))
        var begun = try item(nil)
        begun.inbox = [UInt8](repeating: 1, count: 16)
        #expect(begun.isFor(welcome(1, "x")))
        #expect(!begun.isFor(welcome(2, "x")))
    }

    @Test func `what is finished is listed with its result and cannot be claimed again`() throws {
        let id = try add("/data/a")
        try #require(try outbox().claim(id)).finish(result(7))
        #expect(try outbox().waiting().isEmpty)
        #expect(try outbox().claims().isEmpty)
        let done = try OutboxListing(outbox()).results
        #expect(done.map(\.id) == [id])
        #expect(done.first?.result == result(7))
    }

    @Test func `a claim whose result stands already is only removed`() throws {
        let id = try add("/data/a")
        let claim = try #require(try outbox().claim(id))
        let sighting = try #require(try outbox().claims().first)
        try result().encode().withUnsafeBytes {
            try Data($0).write(to: URL(fileURLWithPath: "\(scratch.path)/outbox/done/\(id)"))
        }
        #expect(try outbox().takeOver(sighting) == nil)
        #expect(try outbox().claims().isEmpty)
        withExtendedLifetime(claim) {}
    }

    @Test func `who has lost an item notices, and cannot put it back`() throws {
        let id = try add("/data/a")
        var claim = try #require(try outbox().claim(id))
        try claim.renew()
        let sighting = try #require(try outbox().claims().first)
        let other = try #require(try outbox().takeOver(sighting))
        #expect(throws: OutboxClaim.Lost.self) { try claim.renew() }
        #expect(throws: OutboxClaim.Lost.self) { try claim.bind(to: Array(0..<16)) }
        try claim.giveBack()
        #expect(try outbox().waiting().isEmpty)
        #expect(try outbox().claims().count == 1)
        try other.renew()
    }

    @Test func `a claim counts as left after five minutes without a change, by the watcher's clock`() throws {
        let id = try add("/data/a")
        let claim = try #require(try outbox().claim(id))
        var watch = ClaimWatch(patience: .seconds(300))
        #expect(watch.observe(try outbox().claims(), at: .seconds(1_000)).isEmpty)
        #expect(watch.observe(try outbox().claims(), at: .seconds(1_299)).isEmpty)
        try claim.renew()
        #expect(watch.observe(try outbox().claims(), at: .seconds(1_300)).isEmpty)
        #expect(watch.observe(try outbox().claims(), at: .seconds(1_599)).isEmpty)
        let left = try #require(watch.observe(try outbox().claims(), at: .seconds(1_600)).first)
        #expect(left.item == id)
        #expect(try outbox().takeOver(left) != nil)
        // A claim of another name begins anew.
        #expect(watch.observe(try outbox().claims(), at: .seconds(1_601)).isEmpty)
        #expect(try outbox().takeOver(left) == nil)
    }

    @Test func `a damaged item is neither delivered nor lost`() throws {
        let id = try add("/data/a")
        try Data("no item".utf8).write(to: URL(fileURLWithPath: "\(scratch.path)/outbox/\(id)"))
        let claim = try #require(try outbox().claim(id))
        #expect(claim.item == nil)
        try claim.giveBack()
        #expect(try OutboxListing(outbox()).unreadable == [id])
        #expect(try outbox().drop(id))
        #expect(try outbox().waiting().isEmpty)
    }

    @Test func `a hundred results are kept`() throws {
        var ids: [String] = []
        for number in 0..<104 {
            let id = try add("/data/\(number)")
            ids.append(id)
            try #require(try outbox().claim(id)).finish(result())
        }
        #expect(try OutboxListing(outbox()).results.map(\.id) == Array(ids.suffix(100)))
    }

    @Test func `a flush is worth starting where something waits and nobody seems to be at it`() throws {
        let state = try StateFolder(at: scratch.path)
        #expect(!Outbox.needsFlush(in: state))
        let id = try add("/data/a")
        #expect(Outbox.needsFlush(in: state))
        let claim = try #require(try outbox().claim(id))
        #expect(!Outbox.needsFlush(in: state))
        let folder = try Directory.open(scratch.path + "/outbox/claimed")
        let name = try #require(try outbox().claims().first).name
        try folder.setModified(Timestamp(seconds: Timestamp.now().seconds - 600, nanoseconds: 0), of: name)
        #expect(Outbox.needsFlush(in: state))
        try claim.finish(result())
        #expect(!Outbox.needsFlush(in: state))
    }
}
