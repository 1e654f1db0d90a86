// SPDX-License-Identifier: MIT

import Descriptors

/// Where the bytes of a chunk can be read again.
package struct ChunkOrigin: Sendable {
    enum File: Sendable {
        case source(WalkedEntry)
    }

    let file: File
    /// Number of the entry that the chunk is announced for.
    package let number: UInt32
    /// In bytes of the file.
    let offset: Int64
}
