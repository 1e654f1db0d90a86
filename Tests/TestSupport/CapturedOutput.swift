// SPDX-License-Identifier: MIT

internal import Foundation

/// An unlinked file that takes what a process writes.
///
/// The descriptor is closed when this object goes.
final class CapturedOutput: Sendable {
    /// For the child's standard output or error; it appends.
    let descriptor: Int32

    init() throws {
        let path = NSTemporaryDirectory() + "/rtun-output-\(UInt64.random(in: .min ... .max))"
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TestSupportFailure("\(path): errno \(errno)") }
        unlink(path)
    }

    deinit {
        close(descriptor)
    }

    /// What has been written so far.
    func bytes() -> [UInt8] {
        let size = Int(lseek(descriptor, 0, SEEK_END))
        var bytes = [UInt8](repeating: 0, count: max(0, size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + filled }, buffer.count - filled, off_t(filled))
            }
            if count <= 0 { break }
            filled += count
        }
        return Array(bytes.prefix(filled))
    }
}
