// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing
import Transfer

/// What a home remembers of its sends.
struct SendStoreTests {
    private let scratch = ScratchFolder("sends")
    private let inbox = [UInt8](0..<16)

    private var sends: String { scratch.path + "/sends" }

    private func store() throws -> SendStore { try SendStore(in: StateFolder(at: scratch.path)) }

    private func open(_ path: String, at inbox: [UInt8]? = nil) throws -> SendFolder {
        try store().open(SendRequest(sources: [path]), inbox: inbox ?? self.inbox, laptop: "laptop")
    }

    private func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: sends).sorted() }

    /// Sets the time of last use of a send.
    private func age(_ folder: SendFolder, days: Int) throws {
        let now = Int(Timestamp.now().seconds)
        try TreeMaker.setTime("\(sends)/\(folder.id)", seconds: now - days * 86_400, nanoseconds: 0)
    }

    @Test func `a send is unfinished until it is finished, and the same request finds it again`() throws {
        let folder = try open("/data/a")
        try folder.note(durable: 77, renewal: 1)
        let found = try #require(try store().list().first)
        #expect(found.id == folder.id)
        #expect(found.request.sources == ["/data/a"])
        #expect(found.inbox == inbox)
        #expect(found.laptop == "laptop")
        #expect(found.progress?.durable == 77)
        let again = try open("/data/a")
        #expect(again.id == folder.id)
        #expect(try store().list().first?.progress == found.progress)
        try again.finish()
        #expect(try store().list().first?.progress == nil)
        #expect(try names() == [folder.id])
        #expect(try open("/data/a", at: inbox.reversed()).id != folder.id)
    }

    @Test func `the latest used comes first, and what is forgotten is gone`() throws {
        let first = try open("/data/a")
        let second = try open("/data/b")
        try age(first, days: 2)
        #expect(try store().list().map(\.id) == [second.id, first.id])
        #expect(try store().forget(second.id))
        #expect(try !store().forget(second.id))
        #expect(try !store().forget("../sends"))
        #expect(try names() == [first.id])
    }

    @Test func `a request that is cut at any byte is no send, and is written anew`() throws {
        let folder = try open("/data/a")
        let path = "\(sends)/\(folder.id)/request"
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            #expect(try store().list().isEmpty)
        }
        #expect(try open("/data/a").id == folder.id)
        #expect(try store().list().count == 1)
    }

    @Test func `a marker that is damaged still says unfinished`() throws {
        let folder = try open("/data/a")
        try Data().write(to: URL(fileURLWithPath: "\(sends)/\(folder.id)/unfinished"))
        let found = try #require(try store().list().first)
        #expect(found.progress?.durable == 0)
    }

    @Test func `what was not used for 90 days goes, with its memories`() throws {
        let old = try open("/data/old")
        try TreeMaker.write("memory", to: "\(sends)/\(old.id)/files")
        let young = try open("/data/young")
        try age(old, days: 91)
        try age(young, days: 89)
        let new = try open("/data/new")
        #expect(try names() == [young.id, new.id].sorted())
    }

    @Test func `of many, finished ones go first and one in use never`() throws {
        let inUse = try open("/data/in use")
        let left = try open("/data/left")
        for number in 0..<80 { try open("/data/\(number)").finish() }
        #expect(try names().count <= 66)
        #expect(try names().contains(inUse.id))
        // The least recently used of all, as far as its time tells.
        try age(left, days: 2)
        try TreeMaker.setTime(
            "\(sends)/\(inUse.id)",
            seconds: Int(Timestamp.now().seconds) - 3_600,
            nanoseconds: 0
        )
        _ = try open("/data/last")
        #expect(try names().contains(inUse.id))
        #expect(try !names().contains(left.id))
    }

    @Test func `what a collector left behind is swept, and is no send`() throws {
        let folder = try open("/data/a")
        let gone = "\(sends)/.gone-\(folder.id)-x"
        try FileManager.default.moveItem(atPath: "\(sends)/\(folder.id)", toPath: gone)
        #expect(try store().list().isEmpty)
    }

    @Test func `a home that cannot hold the store says so`() throws {
        try TreeMaker.write("in the way", to: sends)
        #expect(throws: SystemError.self) { try store() }
    }

    @Test func `many processes may open and collect at once`() async throws {
        let path = scratch.path
        let inbox = inbox
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    let store = try SendStore(in: StateFolder(at: path))
                    for number in 0..<40 {
                        let request = SendRequest(sources: ["/data/\((number * 7 + worker) % 50 + number / 20 * 50)"])
                        let folder = try store.open(request, inbox: inbox, laptop: "laptop")
                        // Another worker may have finished the same send, and a third one collected it.
                        try? folder.note(durable: 1, renewal: UInt64(number))
                        try? folder.finish()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try names().count <= 68)
        #expect(try store().list().allSatisfy { $0.progress == nil })
    }
}
