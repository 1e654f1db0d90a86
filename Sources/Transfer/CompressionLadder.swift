// SPDX-License-Identifier: MIT

package import Codecs

/// The settings that `auto` goes up and down, one step at a time: from stored to small.
///
/// Cost and size are what levels are to one another, measured with libzstd 1.5.4 and zlib 1.2.13 on frames of 4 MiB of
/// a tree of real files. What a machine and its data make of them is measured while it sends.
package struct CompressionLadder: Sendable {
    /// One setting.
    package struct Step: Sendable {
        package let compression: Compression
        /// Nanoseconds a worker compresses one raw byte, on the machine of the table.
        package let cost: Double
        /// Bytes out for each byte in, for the data of the table.
        package let size: Double
        /// Memory of one context.
        package let contextBytes: Int

        fileprivate init(_ compression: Compression, cost: Double, size: Double, context mebibytes: Double) {
            self.compression = compression
            self.cost = cost
            self.size = size
            contextBytes = Int(mebibytes * 1_048_576)
        }
    }

    package let steps: [Step]
    /// Where a transfer begins of which nothing is known.
    package let start: Int

    private init(_ steps: [Step], start: Int) {
        self.steps = steps
        self.start = start
    }

    /// A ladder that has one step.
    package static func pinned(to compression: Compression) -> CompressionLadder {
        let ladder: CompressionLadder =
            switch compression.codec {
            case .stored: .stored
            case .zlib: .zlib
            case .zstd: .zstd
            }
        // The context of a level between two steps is at most that of the step above.
        let step = ladder.steps.first { $0.compression.level >= compression.level } ?? ladder.steps[0]
        let context = compression.level > 19 ? 65.3 : Double(step.contextBytes) / 1_048_576
        return CompressionLadder([Step(compression, cost: step.cost, size: step.size, context: context)], start: 0)
    }

    package static let stored = CompressionLadder([Step(.stored, cost: 0, size: 1, context: 0)], start: 0)

    package static let zstd = CompressionLadder(
        [
            Step(.stored, cost: 0, size: 1, context: 0),
            Step(.zstd(-7), cost: 1.5, size: 0.352, context: 0.6),
            Step(.zstd(-3), cost: 1.9, size: 0.292, context: 0.6),
            Step(.zstd(-1), cost: 2.2, size: 0.262, context: 0.6),
            Step(.zstd(1), cost: 3.0, size: 0.233, context: 0.6),
            Step(.zstd(2), cost: 3.8, size: 0.227, context: 1),
            Step(.zstd(3), cost: 4.9, size: 0.221, context: 1.3),
            Step(.zstd(5), cost: 9.0, size: 0.212, context: 3.5),
            Step(.zstd(6), cost: 10.5, size: 0.206, context: 3.5),
            Step(.zstd(9), cost: 14.5, size: 0.202, context: 12.5),
            Step(.zstd(12), cost: 38, size: 0.201, context: 48.5),
            Step(.zstd(19), cost: 220, size: 0.185, context: 49.3),
        ],
        start: 2
    )

    package static let zlib = CompressionLadder(
        [
            Step(.stored, cost: 0, size: 1, context: 0),
            Step(.zlib(1), cost: 11, size: 0.27, context: 0.26),
            Step(.zlib(3), cost: 15, size: 0.256, context: 0.26),
            Step(.zlib(6), cost: 32, size: 0.235, context: 0.26),
            Step(.zlib(9), cost: 70, size: 0.232, context: 0.26),
        ],
        start: 1
    )
}
