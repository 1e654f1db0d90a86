// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import SystemPackage

/// A one-way channel between this process and a command: a pipe, or a pseudo-terminal for its output.
///
/// The reading end does not block, the writing end does. Each command inherits a duplicate of what it is given.
package struct StreamTap: ~Copyable {
    /// What one reading gave.
    package enum Progress: Equatable {
        /// So many bytes are at the start of the buffer.
        case bytes(Int)
        case nothingYet
        case ended
    }

    package let reading: OwnedDescriptor
    private var writing: OwnedDescriptor?

    /// A pipe (`pipe`).
    package static func pipe() throws(SystemError) -> StreamTap {
        var reading: Int32 = -1
        var writing: Int32 = -1
        try SystemCall.run("pipe", to: "make a pipe") { unsafe descriptors_pipe(&reading, &writing) }
        return StreamTap(reading: OwnedDescriptor(adopting: reading), writing: OwnedDescriptor(adopting: writing))
    }

    /// A pseudo-terminal of the size of the terminal on `descriptor`; what is written passes unchanged.
    package static func terminal(like descriptor: Int32) throws(SystemError) -> StreamTap {
        var controlling: Int32 = -1
        var terminal: Int32 = -1
        try SystemCall.run("posix_openpt", to: "make a pseudo-terminal") {
            unsafe descriptors_terminal_open(descriptor, &controlling, &terminal)
        }
        return StreamTap(reading: OwnedDescriptor(adopting: controlling), writing: OwnedDescriptor(adopting: terminal))
    }

    private init(reading: consuming OwnedDescriptor, writing: consuming OwnedDescriptor) {
        self.reading = reading
        self.writing = consume writing
    }

    /// The number of the writing end, for a command that is started now; nil once it is closed.
    package var writingEnd: Int32? {
        switch writing {
        case .some(let end): end.rawValue
        case .none: nil
        }
    }

    /// Writes to the writing end; blocks where the channel is full.
    package func write(_ bytes: RawSpan) throws(SystemError) {
        switch writing {
        case .some(let end): try end.writeAll(bytes)
        case .none: break
        }
    }

    /// Closes the writing end here, so that reading ends when the commands have closed theirs.
    package mutating func closeWritingEnd() { writing = nil }

    /// Reads what is there, without waiting, into the start of `buffer`.
    package func read(into buffer: Slab) throws(SystemError) -> Progress {
        do throws(SystemError) {
            let count = try buffer.withMutableBytes(0..<buffer.capacity) {
                (span: inout MutableRawSpan) throws(SystemError) in try reading.readSome(into: &span)
            }
            return count == 0 ? .ended : .bytes(count)
        } catch {
            switch error.errno {
            case .wouldBlock, .resourceTemporarilyUnavailable: return .nothingYet
            // How Linux says that nobody has a pseudo-terminal open any more.
            case .ioError: return .ended
            default: throw error
            }
        }
    }

    /// Gives the pseudo-terminal the size of the terminal on `descriptor`; a pipe has none.
    package func resize(like descriptor: Int32) {
        // Without a size everything works but the width of progress bars.
        _ = descriptors_terminal_copy_size(descriptor, reading.rawValue)
    }
}

extension OwnedDescriptor {
    /// Writes every byte (`write`), also where another process made the descriptor non-blocking.
    package func writePatiently(_ bytes: RawSpan) throws(SystemError) {
        let number = rawValue
        unsafe try bytes.withUnsafeBytes { (bytes) throws(SystemError) in
            guard let start = bytes.baseAddress else { return }
            try SystemCall.run("write", to: "write") { unsafe descriptors_write_all(number, start, bytes.count) }
        }
    }
}
