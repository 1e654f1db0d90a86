// SPDX-License-Identifier: MIT

import Dispatch
import Foundation

@testable import Archive
@testable import Codecs
@testable import Descriptors
@testable import RTunDaemon
@testable import Transfer

/// Extracts for real: records and frames that the input makes up go through the receiver's state machine into staging
/// and on to the inbox, beside things that nobody may touch.
enum ExtractFuzzer {
    private static let world = World()

    static func run(_ bytes: [UInt8]) {
        world.makeInbox()
        var session = Session(InputReader(bytes), world)
        do { try session.run() } catch {
            // Refused, as it may.
        }
        session.end()
        world.check()
    }
}

/// The inbox and what stands around it.
private struct World {
    private let scratch = ScratchTree(named: "extract")
    private let workshop: Workshop
    private let sentinels: [String]
    private let before: [String: Status]

    /// What must stay as it is.
    private struct Status: Equatable {
        let contents: Data?
        let mode: mode_t
        let inode: UInt64
        let links: UInt64
        let seconds: Int
        let nanoseconds: Int
    }

    init() {
        do { workshop = try blocking { try await Workshop() } } catch {
            fatalError("no threads: \(error)")
        }
        scratch.makeFolder("outside/.ssh")
        scratch.write(Array("keys".utf8), to: "outside/.ssh/authorized_keys")
        scratch.write(Array("precious".utf8), to: "outside/file")
        scratch.write(Array("beside".utf8), to: "beside")
        sentinels = ["outside", "outside/.ssh", "outside/.ssh/authorized_keys", "outside/file", "beside"]
        let root = scratch.path
        before = Dictionary(uniqueKeysWithValues: sentinels.map { ($0, Self.status(root + "/" + $0)) })
    }

    /// An inbox with the user's own files in it, and links of his that lead out.
    func makeInbox() {
        let inbox = scratch.path + "/inbox"
        try? FileManager.default.removeItem(atPath: inbox)
        scratch.makeFolder("inbox/folder")
        scratch.write(Array("mine".utf8), to: "inbox/mine")
        symlink("../outside", inbox + "/out")
        symlink("../outside/file", inbox + "/leak")
        symlink("../../outside", inbox + "/folder/out")
    }

    func delivery() throws -> (Delivery, Inbox) {
        let inbox = try Inbox(path: scratch.path + "/inbox")
        return (Delivery(inbox: inbox, desktop: Desktop(), shelf: ReceiptShelf(), workshop: workshop), inbox)
    }

    func check() {
        for name in sentinels {
            precondition(Self.status(scratch.path + "/" + name) == before[name], "\(name) outside the inbox changed")
        }
        let here = (try? FileManager.default.contentsOfDirectory(atPath: scratch.path)) ?? []
        precondition(Set(here) == ["outside", "beside", "inbox"], "something was made outside: \(here)")
        let mine = FileManager.default.contents(atPath: scratch.path + "/inbox/mine")
        precondition(mine == Data("mine".utf8), "a file of the user's was changed")
        precondition(
            !FileManager.default.fileExists(atPath: scratch.path + "/inbox/.rtun-part"),
            "staging was left behind"
        )
    }

    private static func status(_ path: String) -> Status {
        var status = stat()
        guard lstat(path, &status) == 0 else { fatalError("\(path) is gone") }
        return Status(
            contents: status.st_mode & S_IFMT == S_IFREG ? FileManager.default.contents(atPath: path) : nil,
            mode: status.st_mode,
            inode: UInt64(status.st_ino),
            links: UInt64(status.st_nlink),
            seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec
        )
    }
}

/// One transfer that the input makes up.
private struct Session {
    private var input: InputReader
    private let delivery: Delivery
    private let staging: Staging
    private var machine = ReceiverStateMachine(credit: TransferLimits.creditBytes)
    private var records: [UInt8] = []
    private var frame: UInt64 = 0
    private var count: UInt64 = 0
    private var entry: UInt64 = 0
    private let slab: Slab
    private let scratch: Slab

    init(_ input: InputReader, _ world: World) {
        self.input = input
        do {
            let inbox: Inbox
            (delivery, inbox) = try world.delivery()
            staging = try Staging(in: inbox.directory, name: "transfer")
            slab = try Slab(capacity: 4 << 20)
            scratch = try Slab(capacity: 64 << 10)
        } catch {
            fatalError("no staging: \(error)")
        }
    }

    mutating func run() throws {
        let destination = (0..<(input.byte() % 3)).compactMap { _ in try? EntryName(validating: input.string()) }
        add(1, [1, 0x80, 0x80, 0x20, 0x80, 0x80, 0x80, 0x01, 0x80, 0x80, 0x80, 0x02])
        while !input.isAtEnd, entry < 64 {
            switch input.byte() % 8 {
            case 0: addEntry(kind: 1, tail: [])
            case 1, 2: try addFile()
            case 3: addEntry(kind: 3, tail: byteString(input.string()))
            case 4: addEntry(kind: 4, tail: varint(UInt64(input.byte())))
            case 5: add(4, varint(UInt64(input.byte())) + [input.byte()])
            case 6: add(input.byte(), input.string())
            default: try flush()
            }
        }
        try flush()
        let refusals = try staging.finish(machine.index)
        for refusal in refusals { machine.refuse(refusal.entry) }
        try staging.synchronize()
        guard machine.index.incompleteFiles == 0 else { return }
        let (delivery, staging, index) = (delivery, staging, machine.index)
        var digester = Digester()
        let secret = try [UInt8]().withSpan { span in try digester.digest(span) }
        let head = PublicationHead(source: "", transfer: 1, secret: secret, destination: destination)
        _ = try blocking { try await delivery.deliver(index, staging, as: head, recall: nil) }
    }

    func end() {
        do { try staging.remove() } catch { preconditionFailure("staging cannot be removed: \(error)") }
    }

    /// A file with its chunks, and a frame that brings them if they were accepted.
    private mutating func addFile() throws {
        let number = entry
        let pieces = (0..<(input.byte() % 4)).map { _ in input.string() }.filter { !$0.isEmpty }
        let size = pieces.reduce(0) { $0 + $1.count }
        let first = machine.index.listedChunks
        addEntry(kind: 2, tail: varint(UInt64(size)))
        guard !pieces.isEmpty else { return }
        var body = varint(number) + [1] + varint(UInt64(pieces.count))
        var digester = Digester()
        for piece in pieces {
            body += [1] + varint(UInt64(piece.count))
            try piece.withSpan { span in try digester.digest(span) }.append(to: &body)
        }
        add(3, body)
        try flush()
        guard machine.index.listedChunks == first + UInt64(pieces.count) else { return }
        let header = FrameHeader(number: frame, codec: .stored, runs: [first...(first + UInt64(pieces.count) - 1)])
        frame += 1
        guard let targets = try machine.begin(header) else { return }
        var refused: Set<Int> = []
        for (target, piece) in zip(targets, pieces) {
            let refusal = try piece.withSpan { span in
                try staging.write(target, bytes: span, digester: &digester, scratch: scratch)
            }
            if let refusal { refused.insert(refusal.entry) }
        }
        machine.finish(header, targets: targets, refused: refused)
    }

    private mutating func addEntry(kind: UInt8, tail: [UInt8]) {
        let parent = UInt64(input.byte()) % (entry + 2)
        let name = input.string()
        let mode = UInt64(input.byte()) << 4 | UInt64(input.byte() & 15)
        let seconds = input.number() >> (input.byte() % 64)
        add(
            2,
            varint(entry) + [kind, 0] + varint(parent > entry ? 0 : parent) + byteString(name) + varint(mode)
                + varint(seconds) + varint(0) + tail
        )
        entry += 1
    }

    private mutating func add(_ kind: UInt8, _ body: [UInt8]) {
        records += [kind] + byteString(body)
    }

    /// Hands the records over, as one batch does.
    private mutating func flush() throws {
        guard !records.isEmpty else { return }
        let batch = records
        records = []
        let (steps, _) = try batch.withSpan { span in
            let taken = try machine.take(records: span, collectingOffers: false)
            try staging.keep(records: span)
            return taken
        }
        for refusal in try staging.perform(steps) { machine.refuse(refusal.entry) }
        machine.markStepsDone()
    }
}

/// Waits on this thread, which is libFuzzer's own, for work on others.
private func blocking<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) throws -> Value {
    let done = DispatchSemaphore(value: 0)
    // Written by the task, read behind the semaphore that it signals.
    nonisolated(unsafe) var result: Result<Value, any Error>?
    Task.detached {
        do { result = .success(try await work()) } catch { result = .failure(error) }
        done.signal()
    }
    done.wait()
    guard let result else { fatalError("no result") }
    return try result.get()
}

private func varint(_ value: UInt64) -> [UInt8] {
    var value = value
    var bytes: [UInt8] = []
    while value > 0x7F {
        bytes.append(UInt8(value & 0x7F) | 0x80)
        value >>= 7
    }
    return bytes + [UInt8(value)]
}

private func byteString(_ bytes: [UInt8]) -> [UInt8] { varint(UInt64(bytes.count)) + bytes }
