// SPDX-License-Identifier: MIT

import Descriptors
import SystemPackage
import TestSupport
import Testing

@Suite("Owned descriptors")
struct OwnedDescriptorTests {
    private let scratch = ScratchFolder("descriptor")
    private let folder: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    @Test(
        "Reading returns fewer bytes only at the end of the file",
        arguments: [(0, 10, 10), (8, 4, 2), (10, 4, 0), (100, 4, 0), (0, 0, 0), (0, 20, 10)] as [(Int64, Int, Int)]
    )
    func readAtEnd(offset: Int64, wanted: Int, expected: Int) throws {
        let file = try folder.createFile("file")
        try file.write("0123456789", at: 0)
        let bytes = try file.bytes(wanted, at: offset)
        #expect(bytes == Array("0123456789".utf8.dropFirst(Int(offset)).prefix(expected)))
    }

    @Test("A large write arrives whole at its offset and leaves the position alone")
    func largeWrite() throws {
        let file = try folder.createFile("file")
        let slab = try Slab(capacity: 3 << 20)
        slab.withMutableBytes(0..<slab.capacity) { span in
            span.withUnsafeMutableBytes { bytes in
                for index in bytes.indices {
                    bytes[index] = UInt8(truncatingIfNeeded: index / 7)
                }
            }
        }
        try slab.withBytes(0..<slab.capacity) { (span) throws(SystemError) in try file.writeAll(span, at: 5) }
        #expect(try file.status().size == Int64(slab.capacity + 5))
        let written = try file.bytes(slab.capacity, at: 5)
        #expect(slab.withBytes(0..<slab.capacity) { span in span.withUnsafeBytes { $0.elementsEqual(written) } })
        try file.append("front")
        #expect(try file.bytes(5, at: 0) == Array("front".utf8))
    }

    @Test("Falling out of scope closes, and a pipe-like end reads 0 at the end of the input")
    func closesAtEndOfScope() throws {
        var pair = try UnixSocket.pair()
        let reader = pair.takeFirst()
        do {
            let writer = pair.takeSecond()
            try writer.append("last words")
        }
        #expect(try reader.someBytes(4) == Array("last".utf8))
        #expect(try reader.someBytes(64) == Array(" words".utf8))
        #expect(try reader.someBytes(64).isEmpty)
    }

    @Test("Relinquishing hands over an open descriptor")
    func relinquish() throws {
        let number = try folder.createFile("file").relinquish()
        let again = OwnedDescriptor(adopting: number)
        try again.write("still open", at: 0)
        #expect(try folder.openFile("file").text() == "still open")
        try again.close()
    }

    @Test("close reports what the system says")
    func closeReports() throws {
        // A number beyond every limit, so that no other test's descriptor can be meant.
        #expect(
            failure { try OwnedDescriptor(adopting: .max).close() } == .badFileDescriptor
        )
    }

    @Test("A non-blocking end with nothing to read throws EAGAIN, and can be made blocking")
    func nonBlocking() throws {
        var pair = try UnixSocket.pair(nonBlocking: true)
        let reader = pair.takeFirst()
        let writer = pair.takeSecond()
        #expect(
            failure { _ = try reader.someBytes(1) } == .resourceTemporarilyUnavailable
        )
        try reader.setNonBlocking(false)
        try writer.append("x")
        #expect(try reader.someBytes(9) == Array("x".utf8))
    }

    @Test(
        "A modification time is kept to the nanosecond",
        arguments: [(0, 1), (1_234_567_890, 123_456_789), (1_999_999_999, 999_999_999)] as [(Int64, Int32)]
    )
    func modificationTime(seconds: Int64, nanoseconds: Int32) throws {
        let file = try folder.createFile("file")
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        try file.setModified(time)
        #expect(try file.status().modified == time)
        #expect(try folder.status("file").modified == time)
        #expect(try file.status().changed > Timestamp(seconds: 1_700_000_000, nanoseconds: 0))
    }

    @Test("Mode and length are set whatever the umask")
    func modeAndLength() throws {
        let file = try folder.createFile("file")
        #expect(try file.status().mode == 0o600)
        try file.setMode(0o666)
        #expect(try file.status().mode == 0o666)
        try file.truncate(to: 1 << 40)
        #expect(try file.status().size == 1 << 40)
        #expect(try file.status().allocatedBlocks < 1000)
        try file.truncate(to: 3)
        #expect(try file.bytes(10, at: 0) == [0, 0, 0])
    }

    @Test("Holes and data are found in turn up to the end")
    func holeMap() throws {
        let file = try folder.createFile("file")
        let unit: Int64 = 1 << 16
        try file.truncate(to: 8 * unit)
        try file.write(String(repeating: "d", count: Int(unit)), at: 3 * unit)
        #expect(try file.nextData(from: 0) == 3 * unit)
        #expect(try file.nextHole(from: 0) == 0)
        #expect(try file.nextHole(from: 3 * unit) == 4 * unit)
        #expect(try file.nextData(from: 4 * unit) == nil)
        #expect(try file.nextHole(from: 8 * unit) == nil)
        #expect(try file.nextData(from: 8 * unit) == nil)
        try file.write("x", at: 8 * unit - 1)
        #expect(try file.nextHole(from: 8 * unit - 1) == 8 * unit)
    }

    #if os(Linux)
    @Test("A file system without a hole map is all data, not an error")
    func noHoleMap() throws {
        let file = try Directory.open("/proc/self").openFile("status")
        #expect(try file.nextData(from: 0) == nil)
        #expect(try file.nextHole(from: 0) == nil)
    }
    #endif

    @Test("Of two open descriptions of a file only one holds the lock")
    func lock() throws {
        let first = try folder.createFile("lock")
        do {
            let second = try folder.openFile("lock")
            #expect(try first.lockExclusively())
            #expect(try second.lockExclusively() == false)
            #expect(try first.lockExclusively(), "the holder may ask again")
        }
        try first.close()
        #expect(try folder.openFile("lock").lockExclusively())
    }

    @Test("Every form of synchronizing and the cache hints work on a real file")
    func synchronizing() throws {
        let file = try folder.createFile("file")
        try file.write("durable", at: 0)
        try file.synchronize()
        try file.synchronizeFully()
        try file.synchronizeFileSystem()
        try folder.descriptor.synchronizeFileSystem()
        file.adviseSequential()
        try file.dropCache()
        #expect(try file.text() == "durable")
    }

    @Test("A descriptor that cannot be synchronized says so")
    func synchronizingFails() throws {
        var pair = try UnixSocket.pair()
        let end = pair.takeFirst()
        #expect(failure { try end.synchronize() } != nil)
        #expect(failure { try end.truncate(to: 0) } != nil)
    }
}
