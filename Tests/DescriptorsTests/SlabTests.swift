// SPDX-License-Identifier: MIT

import Descriptors
import SystemPackage
import Testing

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

@Suite("Slabs")
struct SlabTests {
    private struct Stop: Error, Equatable {}

    @Test("A fresh slab is zero and begins at a page")
    func fresh() throws {
        let slab = try Slab(capacity: 100_000)
        slab.withBytes(0..<100_000) { span in
            span.withUnsafeBytes { bytes in
                #expect(bytes.allSatisfy { $0 == 0 })
                #expect(Int(bitPattern: bytes.baseAddress) % Int(getpagesize()) == 0)
            }
        }
    }

    @Test("What was written in a range is read there and nowhere else")
    func ranges() throws {
        let slab = try Slab(capacity: 16)
        slab.withMutableBytes(4..<8) { span in
            #expect(span.byteCount == 4)
            span.withUnsafeMutableBytes { $0.copyBytes(from: [1, 2, 3, 4]) }
        }
        let bytes = slab.withBytes(0..<16) { span in span.withUnsafeBytes { Array($0) } }
        #expect(bytes == [0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(slab.withBytes(16..<16) { $0.byteCount } == 0)
    }

    @Test("The body's own error comes through")
    func errors() throws {
        let slab = try Slab(capacity: 1)
        #expect(throws: Stop()) {
            try slab.withMutableBytes(0..<1) { (_) throws(Stop) in throw Stop() }
        }
    }

    @Test("More memory than there can be is ENOMEM, not a crash")
    func tooLarge() {
        #expect(failure { _ = try Slab(capacity: .max / 2) } == .noMemory)
    }

    @Test("A range outside of the slab stops the process", arguments: [15..<17, -1..<1])
    func outside(range: Range<Int>) async {
        await #expect(processExitsWith: .failure) { [from = range.lowerBound as Int, to = range.upperBound as Int] in
            let slab = try Slab(capacity: 16)
            slab.withBytes(from..<to) { _ in }
        }
    }
}
