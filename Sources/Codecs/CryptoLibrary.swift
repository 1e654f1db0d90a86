// SPDX-License-Identifier: MIT
import COpenSSL

/// The process's one initialisation of libcrypto, and what is fetched from it once.
///
/// Every use of OpenSSL in this module goes through ``prepare()`` or ``sha256()``, so that
/// `OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG)` is the first OpenSSL call of the process: a libcrypto that reads
/// the host's `openssl.cnf` may meet a provider there that leaves it without SHA-256.
enum CryptoLibrary {
    private static let isPrepared = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_LOAD_CONFIG), nil) == 1

    /// The SHA-256 implementation: `EVP_MD_fetch(3)`, never freed.
    ///
    /// `nonisolated(unsafe)`: written once by the static initialiser, and an `EVP_MD` is immutable and may be used by
    /// all threads at once (only its reference count changes, atomically).
    nonisolated(unsafe) private static let fetchedSHA256: OpaquePointer? =
        isPrepared ? unsafe EVP_MD_fetch(nil, "SHA256", nil) : nil

    /// Initialises libcrypto unless that is done.
    ///
    /// - Throws: `libraryFailure` if libcrypto cannot be initialised.
    static func prepare() throws(CodecError) {
        guard isPrepared else { throw failure("OPENSSL_init_crypto") }
    }

    /// The SHA-256 implementation, looked up once per process.
    ///
    /// - Throws: `libraryFailure` if this libcrypto has none.
    static func sha256() throws(CodecError) -> OpaquePointer {
        try prepare()
        guard let algorithm = unsafe fetchedSHA256 else { throw failure("EVP_MD_fetch(SHA256)") }
        return unsafe algorithm
    }

    /// The error for a failed `call`, with the oldest reason in this thread's error queue, which is emptied.
    static func failure(_ call: String) -> CodecError {
        let reason = ERR_get_error()
        ERR_clear_error()
        guard reason != 0, let text = unsafe ERR_reason_error_string(reason) else {
            return CodecError(.libraryFailure, "\(call) failed")
        }
        return CodecError(.libraryFailure, unsafe "\(call) failed: \(String(cString: text))")
    }
}
