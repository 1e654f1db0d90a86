// SPDX-License-Identifier: MIT

internal import CDescriptors

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

extension OwnedDescriptor {
    /// The most that one call is asked to move: macOS refuses more than `INT_MAX`.
    private static let largestTransfer = 1 << 30

    /// Reads from `offset` until the buffer is full or the file ends, and returns the bytes read (`pread`).
    ///
    /// Fewer bytes than the buffer holds mean the end of the file, nothing else. The file position stays.
    package func read(into buffer: inout MutableRawSpan, at offset: Int64) throws(SystemError) -> Int {
        let number = rawValue
        return unsafe try buffer.withUnsafeMutableBytes { (bytes) throws(SystemError) -> Int in
            var filled = 0
            while filled < bytes.count {
                let wanted = min(bytes.count - filled, Self.largestTransfer)
                let count = try SystemCall.run("pread", to: "read") {
                    unsafe pread(number, bytes.baseAddress?.advanced(by: filled), wanted, off_t(offset) + off_t(filled))
                }
                if count == 0 {
                    break
                }
                filled += count
            }
            return filled
        }
    }

    /// Reads what is there, at least one byte unless the input has ended, and returns the bytes read (`read`).
    ///
    /// For pipes, sockets and standard input. 0 is the end of the input, or an empty buffer. A non-blocking descriptor
    /// with nothing to read throws EAGAIN.
    package func readSome(into buffer: inout MutableRawSpan) throws(SystemError) -> Int {
        let number = rawValue
        return unsafe try buffer.withUnsafeMutableBytes { (bytes) throws(SystemError) -> Int in
            guard unsafe !bytes.isEmpty else {
                return 0
            }
            return try SystemCall.run("read", to: "read") {
                unsafe systemRead(number, bytes.baseAddress, min(bytes.count, Self.largestTransfer))
            }
        }
    }

    /// Waits until bytes, the end or an error can be read; false after `milliseconds` without any (`poll`).
    package func waitUntilReadable(milliseconds: Int32) throws(SystemError) -> Bool {
        try SystemCall.run("poll", to: "wait for input") {
            descriptors_wait_readable(rawValue, milliseconds)
        } > 0
    }

    /// Writes every byte at `offset` (`pwrite`); the file position stays.
    ///
    /// When it throws, some of the bytes may have been written.
    package func writeAll(_ bytes: RawSpan, at offset: Int64) throws(SystemError) {
        let number = rawValue
        unsafe try bytes.withUnsafeBytes { (bytes) throws(SystemError) in
            var written = 0
            while written < bytes.count {
                let wanted = min(bytes.count - written, Self.largestTransfer)
                written += try SystemCall.run("pwrite", to: "write") {
                    unsafe pwrite(
                        number,
                        bytes.baseAddress?.advanced(by: written),
                        wanted,
                        off_t(offset) + off_t(written)
                    )
                }
            }
        }
    }

    /// Writes every byte at the file position, or at the end of a file opened for appending (`write`).
    ///
    /// When it throws, some of the bytes may have been written. Not for non-blocking descriptors, which throw EAGAIN
    /// in the middle.
    package func writeAll(_ bytes: RawSpan) throws(SystemError) {
        let number = rawValue
        unsafe try bytes.withUnsafeBytes { (bytes) throws(SystemError) in
            var written = 0
            while written < bytes.count {
                let wanted = min(bytes.count - written, Self.largestTransfer)
                written += try SystemCall.run("write", to: "write") {
                    unsafe write(number, bytes.baseAddress?.advanced(by: written), wanted)
                }
            }
        }
    }
}

/// `read(2)`, which the methods named `read` would shadow inside the type.
private func systemRead(_ number: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    unsafe read(number, start, count)
}
