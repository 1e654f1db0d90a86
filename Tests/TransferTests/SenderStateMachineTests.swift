// SPDX-License-Identifier: MIT

import Archive
import Codecs
import TestSupport
import Testing
import Transfer

struct SenderStateMachineTests {
    private var machine = SenderStateMachine(credit: 100)

    @Test mutating func `frames are numbered while there is credit`() throws {
        #expect(machine.nextFrame(bytes: 60) == 0)
        #expect(machine.nextFrame(bytes: 40) == 1)
        #expect(machine.nextFrame(bytes: 1) == nil)
        #expect(machine.outstanding == 100)
        _ = try machine.markDurable([0...0])
        #expect(machine.outstanding == 40)
        #expect(machine.durable == 60)
        #expect(machine.nextFrame(bytes: 61) == nil)
        #expect(machine.nextFrame(bytes: 60) == 2)
        #expect(machine.frames == 3)
    }

    @Test mutating func `a frame that is larger than the credit goes alone`() throws {
        #expect(machine.nextFrame(bytes: 1_000) == 0)
        #expect(machine.nextFrame(bytes: 1) == nil)
        _ = try machine.markDurable([0...0])
        #expect(machine.nextFrame(bytes: 1_000) == 1)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func `credit is never exceeded`(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var machine = SenderStateMachine(credit: 1_000)
        var open: [(number: UInt64, bytes: UInt64)] = []
        for _ in 0..<5_000 {
            if generator.next() % 3 == 0, !open.isEmpty {
                let done = open.remove(at: Int(generator.next() % UInt64(open.count)))
                _ = try machine.markDurable([done.number...done.number])
            } else {
                let bytes = 1 + generator.next() % 700
                if let number = machine.nextFrame(bytes: bytes) { open.append((number, bytes)) }
            }
            #expect(machine.outstanding <= 1_000)
            #expect(machine.outstanding == open.reduce(0) { $0 + $1.bytes })
        }
    }

    @Test mutating func `DURABLE for what was never sent is refused`() {
        _ = machine.nextFrame(bytes: 1)
        for range in [1...1, 0...1, 0...(.max), (.max)...(.max)] as [ClosedRange<UInt64>] {
            var copy = machine
            #expect(formatFailure { _ = try copy.markDurable([range]) } == "DURABLE for a frame that was not sent")
        }
    }

    @Test mutating func `DURABLE twice is refused`() throws {
        for _ in 0..<3 { _ = machine.nextFrame(bytes: 1) }
        _ = try machine.markDurable([1...1])
        for range in [1...1, 0...2] as [ClosedRange<UInt64>] {
            var copy = machine
            #expect(formatFailure { _ = try copy.markDurable([range]) } == "DURABLE for a frame twice")
        }
        _ = try machine.markDurable([0...0, 2...2])
        #expect(machine.outstanding == 0)
    }

    @Test mutating func `RECEIVED never goes back`() {
        machine.markReceived(Received(bytes: 5, records: 7))
        machine.markReceived(Received(bytes: 3, records: 8))
        #expect(machine.received == Received(bytes: 5, records: 8))
    }

    @Test mutating func `COMMITTED comes behind COMMIT alone`() {
        #expect(formatFailure { try machine.checkCommitted() } == "COMMITTED without COMMIT")
        machine.commit()
        #expect(formatFailure { try machine.checkCommitted() } == nil)
    }

    @Test mutating func `answers only grow and name what is new`() throws {
        try machine.markAnswered(Have(answered: 10, ranges: [2...3, 7...9]))
        #expect(machine.answered == 10)
        for have in [
            Have(answered: 9, ranges: []), Have(answered: 20, ranges: [9...9]), Have(answered: 20, ranges: [20...20]),
            Have(answered: 20, ranges: [10...20]), Have(answered: 20, ranges: [0...0]),
            Have(answered: 10, ranges: [10...10]),
        ] {
            var copy = machine
            #expect(throws: FormatError.self) { try copy.markAnswered(have) }
        }
        try machine.markAnswered(Have(answered: 10, ranges: []))
        try machine.markAnswered(Have(answered: 12, ranges: [10...11]))
        #expect(machine.takeHad(first: 0, count: 3) == [false, false, true])
        #expect(machine.takeHad(first: 3, count: 5) == [true, false, false, false, true])
        #expect(machine.takeHad(first: 8, count: 4) == [true, true, true, true])
        #expect(machine.takeHad(first: 12, count: 2) == [false, false])
    }

    @Test mutating func `an answer of everything is taken apart piece by piece`() throws {
        try machine.markAnswered(Have(answered: .max, ranges: [0...(1 << 40)]))
        for first in 0..<10 as Range<UInt64> {
            #expect(machine.takeHad(first: first * 3, count: 3) == [true, true, true])
        }
    }

    @Test mutating func `a new epoch sends again what did not arrive`() throws {
        for first in 0..<4 as Range<UInt64> {
            _ = machine.nextFrame(of: [sent(first * 2, bytes: 10), sent(first * 2 + 1, bytes: 10)])
        }
        _ = try machine.markDurable([1...1])
        // Frames 0, 2 and 3 are under way; of their chunks 1, 4 and 5 have arrived.
        let (lost, arrived) = machine.beginEpoch(credit: 50, answered: 8, present: [1...5])
        #expect(arrived.map(\.ordinal).sorted() == [1, 4, 5])
        #expect(lost.map(\.ordinal) == [0, 6, 7])
        #expect(machine.durable == 50)
        #expect(machine.outstanding == 0)
        #expect(machine.credit == 50)
        #expect(machine.nextFrame(of: lost) == 0)
    }

    @Test mutating func `answers that the break has swallowed are taken from the new epoch`() throws {
        try machine.markAnswered(Have(answered: 4, ranges: [1...1]))
        #expect(machine.takeHad(first: 0, count: 4) == [false, true, false, false])
        _ = machine.beginEpoch(credit: 100, answered: 9, present: [1...5, 7...8])
        #expect(machine.answered == 9)
        #expect(machine.takeHad(first: 4, count: 5) == [true, true, false, true, true])
    }
}

private func sent(_ ordinal: UInt64, bytes: Int) -> SenderStateMachine.Sent {
    let chunk = PackedChunk(length: bytes, digest: digest([]), isInSlab: false, origin: nil)
    return SenderStateMachine.Sent(ordinal: ordinal, chunk: chunk)
}

extension SenderStateMachine {
    /// A frame of one chunk.
    fileprivate mutating func nextFrame(bytes: UInt64) -> UInt64? {
        nextFrame(of: [sent(frames, bytes: Int(bytes))])
    }
}
