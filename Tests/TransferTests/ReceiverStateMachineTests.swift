// SPDX-License-Identifier: MIT

import Codecs
import Testing
import Transfer

@testable import Archive

struct ReceiverStateMachineTests {
    private var machine = ReceiverStateMachine(credit: 100)
    private var manifest: [UInt8] = []

    /// Five files of ten bytes, their steps done.
    init() throws {
        try take([header])
        for number in 0..<5 as Range<UInt32> {
            try take([file(number, "f\(number)", 10), list(number, [[UInt8](repeating: UInt8(number), count: 10)])])
        }
        machine.markStepsDone()
    }

    private mutating func take(_ records: [Record]) throws {
        let bytes = encoded(records)
        manifest += bytes
        _ = try bytes.withSpan { (span: RawSpan) throws(FormatError) in
            try machine.take(records: span, collectingOffers: false)
        }
    }

    private func frame(_ number: UInt64, _ runs: ClosedRange<UInt64>...) -> FrameHeader {
        FrameHeader(number: number, codec: .stored, runs: runs)
    }

    /// A whole frame, verified.
    private mutating func receive(_ number: UInt64, _ runs: ClosedRange<UInt64>) throws {
        let header = frame(number, runs)
        let targets = try #require(try machine.begin(header))
        machine.finish(header, targets: targets, refused: [])
    }

    private func commit(records: UInt64 = 11, frames: UInt64) -> Commit {
        Commit(records: records, frames: frames, manifest: digest(manifest))
    }

    /// Syncs all that is verified.
    private mutating func sync() -> [ClosedRange<UInt64>] {
        let bytes = machine.verifiedBytes
        return machine.markDurable(machine.takeVerified().frames, bytes: bytes)
    }

    // MARK: - The way it goes

    @Test mutating func `a transfer is published when everything is durable`() throws {
        try receive(0, 0...2)
        #expect(machine.verifiedBytes == 30)
        try machine.take(commit(frames: 2))
        #expect(machine.isMissingFrames)
        let second = frame(1, 3...4)
        let targets = try #require(try machine.begin(second))
        #expect(!machine.isMissingFrames && machine.isWriting)
        #expect(!machine.isReadyToPublish)
        machine.finish(second, targets: targets, refused: [])
        #expect(!machine.isReadyToPublish, "not synced")
        #expect(sync() == [0...1])
        #expect(machine.isReadyToPublish)
        #expect(throws: Never.self) { try machine.checkComplete(manifest: digest(manifest)) }
    }

    @Test mutating func `a frame is acknowledged only by a sync that began when it was verified`() throws {
        try receive(0, 0...0)
        // The sync begins; while it runs a second frame is verified.
        let bytes = machine.verifiedBytes
        let synced = machine.takeVerified().frames
        try receive(1, 1...1)
        #expect(synced == [0])
        #expect(machine.markDurable(synced, bytes: bytes) == [0...0])
        #expect(machine.outstanding == 10, "the second is not durable")
        #expect(machine.verifiedBytes == 10)
        #expect(machine.takeVerified().frames == [1])
        #expect(machine.markDurable([1], bytes: 10) == [1...1])
        #expect(machine.outstanding == 0)
    }

    @Test mutating func `what a sync covers is journalled in the order of the manifest`() throws {
        try receive(0, 3...4)
        try receive(1, 0...2)
        #expect(machine.takeVerified().chunks.map(\.path) == ["f0", "f1", "f2", "f3", "f4"])
    }

    @Test mutating func `publishing waits for a sync that is under way`() throws {
        try receive(0, 0...4)
        try machine.take(commit(frames: 1))
        let bytes = machine.verifiedBytes
        let synced = machine.takeVerified().frames
        #expect(!machine.isReadyToPublish)
        _ = machine.markDurable(synced, bytes: bytes)
        #expect(machine.isReadyToPublish)
    }

    @Test func `acknowledged frames are told as ranges`() {
        var machine = machine
        #expect(machine.markDurable([5, 1, 0, 2, 9, 8], bytes: 0) == [0...2, 5...5, 8...9])
        #expect(machine.markDurable([], bytes: 0) == [])
    }

    // MARK: - Frames

    @Test mutating func `a frame waits for its records and for their steps`() throws {
        #expect(try machine.begin(frame(0, 5...5)) == nil)
        try take([file(9, "late", 1), list(9, [[1]])])
        #expect(try machine.begin(frame(0, 5...5)) == nil, "its folder may not be made yet")
        machine.markStepsDone()
        #expect(try machine.begin(frame(0, 5...5))?.count == 1)
    }

    @Test mutating func `a frame of chunks that were never listed is refused behind COMMIT`() throws {
        try machine.take(commit(frames: 2))
        #expect(
            formatFailure { _ = try machine.begin(frame(0, 4...5)) } == "a frame names chunks that were never listed"
        )
        #expect(formatFailure { _ = try machine.begin(frame(0, (.max)...(.max))) } != nil)
    }

    @Test mutating func `a chunk that came is refused in another frame`() throws {
        try receive(0, 0...1)
        #expect(formatFailure { _ = try machine.begin(frame(1, 1...2)) } == "a chunk comes twice")
    }

    @Test mutating func `a frame number twice is refused while the first is written`() throws {
        _ = try machine.begin(frame(0, 0...0))
        #expect(formatFailure { _ = try machine.begin(frame(0, 1...1)) } == "a frame number twice")
    }

    @Test mutating func `a frame number twice is refused when the first is durable too`() throws {
        try receive(0, 0...0)
        #expect(sync() == [0...0])
        #expect(formatFailure { _ = try machine.begin(frame(0, 1...1)) } == "a frame number twice")
    }

    @Test mutating func `more than the credit is refused`() throws {
        try take([
            file(9, "large", 100), list(9, [[UInt8](repeating: 9, count: 60), [UInt8](repeating: 8, count: 40)]),
        ])
        machine.markStepsDone()
        try receive(0, 0...4)
        #expect(machine.outstanding == 50)
        var over = machine
        #expect(formatFailure { _ = try over.begin(frame(1, 5...5)) } == "over the credit")
        // What is verified counts until it is durable.
        try receive(1, 6...6)
        over = machine
        #expect(formatFailure { _ = try over.begin(frame(2, 5...5)) } == "over the credit")
        _ = sync()
        try receive(2, 5...5)
        #expect(machine.outstanding == 60)
    }

    @Test mutating func `the first frame fits whatever the credit`() throws {
        var machine = ReceiverStateMachine(credit: 1)
        let records = encoded([header, file(0, "f", 10), list(0, [[UInt8](repeating: 0, count: 10)])])
        _ = try records.withSpan { (span: RawSpan) throws(FormatError) in
            try machine.take(records: span, collectingOffers: false)
        }
        machine.markStepsDone()
        #expect(try machine.begin(frame(0, 0...0)) != nil)
    }

    @Test mutating func `a refused file does not keep the transfer from its end`() throws {
        let first = frame(0, 0...4)
        let targets = try #require(try machine.begin(first))
        machine.finish(first, targets: targets, refused: [2])
        #expect(machine.index.entries[2].isVoid)
        try machine.take(commit(frames: 1))
        #expect(sync() == [0...0])
        #expect(throws: Never.self) { try machine.checkComplete(manifest: digest(manifest)) }
    }

    @Test mutating func `a file that is taken back does not keep the transfer from its end`() throws {
        try take([.retract(entry: 4, reason: .changed)])
        try receive(0, 0...3)
        try machine.take(commit(records: 12, frames: 1))
        _ = sync()
        #expect(throws: Never.self) { try machine.checkComplete(manifest: digest(manifest)) }
    }

    @Test mutating func `chunks that are there need no frame and may not have one`() throws {
        var answer = Recall.Answer()
        answer.had = [0...3]
        #expect(machine.take(answer) == Have(answered: 5, ranges: [0...3]))
        #expect(throws: FormatError.self) { try machine.begin(frame(0, 3...4)) }
    }

    @Test mutating func `a transfer whose chunks are all there is complete`() throws {
        var answer = Recall.Answer()
        answer.had = [0...4]
        answer.kept = [1]
        _ = machine.take(answer)
        #expect(machine.index.entries[1].isKept)
        try machine.take(commit(frames: 0))
        #expect(machine.isReadyToPublish)
        #expect(throws: Never.self) { try machine.checkComplete(manifest: digest(manifest)) }
    }

    // MARK: - COMMIT

    @Test mutating func `COMMIT twice is refused`() throws {
        try machine.take(commit(frames: 1))
        #expect(formatFailure { try machine.take(commit(frames: 1)) } == "COMMIT twice")
    }

    @Test mutating func `records behind COMMIT are refused`() throws {
        try machine.take(commit(frames: 1))
        #expect(formatFailure { try take([file(9, "late", 0)]) } == "records behind COMMIT")
    }

    @Test mutating func `COMMIT of another manifest is refused`() throws {
        try receive(0, 0...4)
        for records in [0, 10, 12, .max] as [UInt64] {
            var copy = machine
            #expect(throws: (any Error).self, "\(records) records") {
                try copy.take(commit(records: records, frames: 1))
            }
        }
        try machine.take(Commit(records: 11, frames: 1, manifest: digest([])))
        _ = sync()
        do throws(TransferError) {
            try machine.checkComplete(manifest: digest(manifest))
            Issue.record("taken")
        } catch {
            #expect(error.abort?.code == .integrity)
        }
    }

    @Test mutating func `COMMIT of fewer frames than came is refused`() throws {
        try receive(0, 0...2)
        try receive(1, 3...4)
        try machine.take(commit(frames: 1))
        _ = sync()
        #expect(machine.isReadyToPublish)
        #expect(formatFailure { try machine.checkComplete(manifest: digest(manifest)) } != nil)
    }

    @Test mutating func `COMMIT of more frames than came waits`() throws {
        try receive(0, 0...4)
        try machine.take(commit(frames: 2))
        _ = sync()
        #expect(!machine.isReadyToPublish && machine.isMissingFrames)
    }

    @Test mutating func `frames are numbered below their count`() throws {
        try receive(7, 0...4)
        try machine.take(commit(frames: 1))
        _ = sync()
        #expect(formatFailure { try machine.checkComplete(manifest: digest(manifest)) } != nil)
    }

    @Test mutating func `missing chunks are refused`() throws {
        try receive(0, 0...3)
        try machine.take(commit(frames: 1))
        _ = sync()
        #expect(
            formatFailure { try machine.checkComplete(manifest: digest(manifest)) } == "chunks are missing at COMMIT"
        )
    }

    @Test mutating func `a list that never ended is refused`() throws {
        try take([file(9, "stream", nil), list(9, [[1]], isLast: false)])
        machine.markStepsDone()
        try receive(0, 0...5)
        try machine.take(commit(records: 13, frames: 1))
        _ = sync()
        #expect(
            formatFailure { try machine.checkComplete(manifest: digest(manifest)) } == "chunks are missing at COMMIT"
        )
    }

    @Test mutating func `nothing is published without COMMIT`() throws {
        try receive(0, 0...4)
        _ = sync()
        #expect(!machine.isReadyToPublish)
        #expect(formatFailure { try machine.checkComplete(manifest: digest(manifest)) } == "published without COMMIT")
    }

    @Test mutating func `a batch that ends inside a record is refused`() {
        let bytes = encoded([file(9, "f", 0)])
        for count in 1..<bytes.count {
            var copy = machine
            #expect(
                throws: FormatError.self
            ) {
                _ = try Array(bytes.prefix(count)).withSpan { (span: RawSpan) throws(FormatError) in
                    try copy.take(records: span, collectingOffers: false)
                }
            }
        }
    }
}
