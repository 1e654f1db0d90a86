// SPDX-License-Identifier: MIT

/// How a frame's payload is coded; the raw values are the wire's own numbers.
package enum Codec: UInt8, Sendable, CaseIterable {
    /// The raw bytes themselves.
    case stored = 0
    /// One zlib stream (RFC 1950).
    case zlib = 1
    /// One zstd frame (RFC 8878).
    case zstd = 2
}
