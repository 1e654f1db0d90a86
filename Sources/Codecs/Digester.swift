// SPDX-License-Identifier: MIT
import COpenSSL

/// Computes SHA-256 digests, one message after another, in one kept state.
///
/// Holds libcrypto's `SHA256_CTX` itself, 112 bytes; nothing is allocated. A message is a run of ``update(_:)`` closed
/// by ``finish()``, or one ``digest(_:)``. These are the functions below EVP, for what that costs: see
/// `docs/decisions/0007-sha256-below-evp.md`.
package struct Digester: ~Copyable, Sendable {
    private var state = SHA256_CTX()

    /// Whether a message was begun and not finished.
    ///
    /// A message begins lazily, so that each costs one initialisation.
    private var isMessageOpen = false

    package init() {}

    /// Adds `bytes` to the message, beginning one if none is open.
    ///
    /// - Throws: `libraryFailure` from `SHA256_Init(3)` or `SHA256_Update(3)`.
    package mutating func update(_ bytes: RawSpan) throws(CodecError) {
        try beginMessage()
        let succeeded = unsafe bytes.withUnsafeBytes { buffer in
            unsafe SHA256_Update(&state, buffer.baseAddress, buffer.count) == 1
        }
        guard succeeded else { throw CodecError(.libraryFailure, "SHA256_Update failed") }
    }

    /// Closes the message and returns its digest; the next ``update(_:)`` begins a new one.
    ///
    /// Without an ``update(_:)`` since the last message, this is the digest of no bytes.
    ///
    /// - Throws: `libraryFailure` from `SHA256_Init(3)` or `SHA256_Final(3)`.
    package mutating func finish() throws(CodecError) -> Digest {
        try beginMessage()
        isMessageOpen = false
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let succeeded = unsafe withUnsafeMutableBytes(of: &words) { buffer in
            // It writes SHA256_DIGEST_LENGTH = 32 bytes, which is the size of the tuple.
            unsafe SHA256_Final(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), &state) == 1
        }
        guard succeeded else { throw CodecError(.libraryFailure, "SHA256_Final failed") }
        return Digest(memory: words)
    }

    /// The digest of `bytes` as one whole message; an unfinished message is forgotten.
    ///
    /// - Throws: `libraryFailure` from libcrypto.
    package mutating func digest(_ bytes: RawSpan) throws(CodecError) -> Digest {
        reset()
        try update(bytes)
        return try finish()
    }

    /// Forgets an unfinished message.
    package mutating func reset() {
        isMessageOpen = false
    }

    private mutating func beginMessage() throws(CodecError) {
        guard !isMessageOpen else { return }
        guard unsafe SHA256_Init(&state) == 1 else { throw CodecError(.libraryFailure, "SHA256_Init failed") }
        isMessageOpen = true
    }
}
