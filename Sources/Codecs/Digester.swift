// SPDX-License-Identifier: MIT
import COpenSSL

/// Computes SHA-256 digests, one message after another, through one kept context.
///
/// Owns an `EVP_MD_CTX`: about 200 bytes of heap, made once; hashing allocates nothing. A message is a run of
/// ``update(_:)`` closed by ``finish()``, or one ``digest(_:)``.
@safe package struct Digester: ~Copyable {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    /// Whether a message was begun and not finished.
    ///
    /// A message begins lazily, so that each costs one initialisation.
    private var isMessageOpen = false

    /// Makes the context (`EVP_MD_CTX_new(3)`).
    ///
    /// - Throws: `outOfMemory`, or `libraryFailure` if libcrypto offers no SHA-256.
    package init() throws(CodecError) {
        let algorithm = unsafe try CryptoLibrary.sha256()
        guard let context = unsafe EVP_MD_CTX_new() else {
            throw CodecError(.outOfMemory, "no memory for a SHA-256 context")
        }
        unsafe self.algorithm = algorithm
        unsafe self.context = context
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    /// Adds `bytes` to the message, beginning one if none is open.
    ///
    /// - Throws: `libraryFailure` from `EVP_DigestInit_ex2(3)` or `EVP_DigestUpdate(3)`.
    package mutating func update(_ bytes: RawSpan) throws(CodecError) {
        try beginMessage()
        let succeeded = unsafe bytes.withUnsafeBytes { buffer in
            unsafe EVP_DigestUpdate(context, buffer.baseAddress, buffer.count) == 1
        }
        guard succeeded else { throw CryptoLibrary.failure("EVP_DigestUpdate") }
    }

    /// Closes the message and returns its digest; the next ``update(_:)`` begins a new one.
    ///
    /// Without an ``update(_:)`` since the last message, this is the digest of no bytes.
    ///
    /// - Throws: `libraryFailure` from `EVP_DigestFinal_ex(3)`.
    package mutating func finish() throws(CodecError) -> Digest {
        try beginMessage()
        isMessageOpen = false
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let succeeded = unsafe withUnsafeMutableBytes(of: &words) { buffer in
            // SHA-256 writes EVP_MD_get_size() = 32 bytes, which is the size of the tuple.
            unsafe EVP_DigestFinal_ex(context, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), nil) == 1
        }
        guard succeeded else { throw CryptoLibrary.failure("EVP_DigestFinal_ex") }
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
        guard unsafe EVP_DigestInit_ex2(context, algorithm, nil) == 1 else {
            throw CryptoLibrary.failure("EVP_DigestInit_ex2")
        }
        isMessageOpen = true
    }
}

/// Single owner: the type is noncopyable, and each use of its context is a `mutating` call, hence exclusive.
extension Digester: @unchecked Sendable {}
