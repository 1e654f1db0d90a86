// SPDX-License-Identifier: MIT

/// Unpredictable bytes for secrets, keys and identifiers.
package enum RandomBytes {
    /// As many bytes from the kernel, by the system's generator.
    ///
    /// `getrandom(2)`, `/dev/urandom` where the kernel has none yet, `arc4random_buf(3)` on macOS. Where none of them
    /// works the process ends.
    package static func make(_ count: Int) -> [UInt8] {
        precondition(count >= 0, "cannot make \(count) random bytes")
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let word = generator.next()
            for shift in stride(from: UInt64(0), to: 64, by: 8).prefix(count - bytes.count) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return bytes
    }
}
