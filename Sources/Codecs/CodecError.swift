// SPDX-License-Identifier: MIT

/// A failure of a digest, a compressor or a decompressor.
///
/// `code` is for programs, `message` for people. New codes may appear, so a `switch` over them needs a default.
/// Only ``Code/outOfMemory`` and ``Code/libraryFailure`` can befall honest bytes; the others judge the payload.
package struct CodecError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure, extensible without breaking its users.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case badPayload = "bad payload"
            case sizeMismatch = "size mismatch"
            case trailingBytes = "trailing bytes"
            case windowTooLarge = "window too large"
            case outOfMemory = "out of memory"
            case unsupported = "unsupported"
            case libraryFailure = "library failure"
        }

        private var kind: Kind

        /// The payload is truncated, corrupted, or not of the stated codec.
        package static var badPayload: Self { Self(kind: .badPayload) }
        /// The payload is sound as far as it was read, but does not decode to the stated number of bytes.
        package static var sizeMismatch: Self { Self(kind: .sizeMismatch) }
        /// Bytes follow the one frame or stream that a payload may hold.
        package static var trailingBytes: Self { Self(kind: .trailingBytes) }
        /// A zstd frame asks for a window above 8 MiB.
        package static var windowTooLarge: Self { Self(kind: .windowTooLarge) }
        /// The library could not allocate its context.
        package static var outOfMemory: Self { Self(kind: .outOfMemory) }
        /// The payload uses a feature that this format excludes: a dictionary, a skippable frame, a reserved bit.
        package static var unsupported: Self { Self(kind: .unsupported) }
        /// The library failed for a reason that is not in the payload.
        package static var libraryFailure: Self { Self(kind: .libraryFailure) }

        package var description: String { kind.rawValue }
    }

    /// What kind of failure this is.
    package var code: Code

    /// One clause that says what was found, without a closing full stop.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code): \(message)" }
}

extension CodecError {
    /// The error of a payload of `codec` that decodes to another number of bytes than stated.
    static func sizeMismatch(_ codec: Codec, expected: Int, found: String) -> CodecError {
        CodecError(.sizeMismatch, "\(codec) payload should decode to \(expected) bytes, but \(found)")
    }
}
