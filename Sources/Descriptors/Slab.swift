// SPDX-License-Identifier: MIT

internal import CDescriptors

/// A buffer of fixed size on page boundaries, made once and lent as spans.
///
/// Fresh memory is zero. It goes back to the system with the last reference.
// The memory is not locked. Whoever took a slab from its pool is its single owner until it is returned, and the queue
// that hands it from one task to the next orders their accesses; that makes the unchecked conformance true.
@safe package final class Slab: @unchecked Sendable {
    /// Size in bytes.
    package let capacity: Int

    private let start: UnsafeMutableRawPointer

    /// Makes a buffer of `capacity` bytes, at least one; throws ENOMEM.
    package init(capacity: Int) throws(SystemError) {
        precondition(capacity > 0, "a slab holds at least one byte")
        guard let start = unsafe descriptors_map(capacity) else {
            throw SystemError(errno: SystemCall.lastError, call: "mmap", action: "get memory for a buffer")
        }
        self.capacity = capacity
        unsafe self.start = start
    }

    deinit {
        unsafe descriptors_unmap(start, capacity)
    }

    /// Lends the bytes at `range` for reading.
    package func withBytes<Value: ~Copyable, Failure: Error>(
        _ range: Range<Int>,
        _ body: (RawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "a range outside of the slab")
        let bytes = unsafe UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count)
        return try body(unsafe bytes.bytes)
    }

    /// Moves bytes to another place in the slab; the two may overlap (`memmove`).
    package func move(_ range: Range<Int>, to offset: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "a range outside of the slab")
        precondition(offset >= 0 && offset + range.count <= capacity, "a place outside of the slab")
        unsafe (start + offset).copyMemory(from: start + range.lowerBound, byteCount: range.count)
    }

    /// Lends the bytes at `range` for writing.
    package func withMutableBytes<Value: ~Copyable, Failure: Error>(
        _ range: Range<Int>,
        _ body: (inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "a range outside of the slab")
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: start + range.lowerBound, count: range.count)
        var span = unsafe bytes.mutableBytes
        return try body(&span)
    }
}
