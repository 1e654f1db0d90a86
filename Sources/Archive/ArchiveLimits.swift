// SPDX-License-Identifier: MIT

/// The limits of `docs/archive-format.md` section 7, each checked where the number is parsed.
package enum ArchiveLimits {
    /// Bytes of one record with its type and length; also of one batch of records before compression.
    package static let recordBytes = 65_536
    /// Entries of one archive.
    package static let entries = 2_000_000
    /// Bytes of one chunk.
    package static let chunkBytes = 4 << 20
    /// Raw bytes of one frame.
    package static let frameBytes = 4 << 20
    /// Chunks named by one frame.
    package static let frameChunks = 16_384
    /// Runs of ordinals in one frame.
    package static let frameRuns = 1_024
    /// Chunks that are listed and whose bytes have not arrived.
    package static let listedChunks = 262_144
    /// Bytes of one name.
    package static let nameBytes = 255
    /// Bytes of one path, separators counted.
    package static let pathBytes = 4_096
    /// Names in one path.
    package static let depth = 128
    /// Bytes of a symlink's target.
    package static let linkTargetBytes = 4_095
}
