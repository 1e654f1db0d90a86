// SPDX-License-Identifier: MIT
import COpenSSL

/// Unpredictable bytes for secrets, keys and identifiers.
package enum RandomBytes {
    /// `count` bytes from libcrypto's random generator (`RAND_bytes(3)`), which seeds itself from the kernel.
    ///
    /// - Throws: `libraryFailure` if the generator could not be seeded.
    package static func make(_ count: Int) throws(CodecError) -> [UInt8] {
        precondition(0...Int(Int32.max) ~= count, "cannot make \(count) random bytes at once")
        try CryptoLibrary.prepare()
        var bytes = [UInt8](repeating: 0, count: count)
        guard unsafe RAND_bytes(&bytes, Int32(count)) == 1 else { throw CryptoLibrary.failure("RAND_bytes") }
        return bytes
    }
}
