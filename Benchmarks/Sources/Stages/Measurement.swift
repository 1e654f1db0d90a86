// SPDX-License-Identifier: MIT

import Descriptors

/// Runs a stage several times and keeps the median.
struct Measurement {
    let name: String
    /// What one run works through.
    let bytes: Int
    /// Files of one run; 0 where the stage knows none.
    let files: Int
    let median: Duration

    /// Runs `body` seven times after one run that does not count.
    init(_ name: String, bytes: Int, files: Int = 0, runs: Int = 7, _ body: () throws -> Void) throws {
        self.name = name
        self.bytes = bytes
        self.files = files
        try body()
        var times: [Duration] = []
        for _ in 0..<runs {
            let start = ProcessContext.monotonicNow
            try body()
            times.append(ProcessContext.monotonicNow - start)
        }
        median = times.sorted()[runs / 2]
        print(row)
    }

    static let header = """
        | stage | MB/s | ns per byte | ns per file |
        |---|---:|---:|---:|
        """

    private var row: String {
        let nanoseconds = median / .nanoseconds(1)
        let rate = bytes > 0 ? "\(Int(Double(bytes) * 1_000 / nanoseconds))" : ""
        let each = bytes > 0 ? "\((nanoseconds / Double(bytes) * 100).rounded() / 100)" : ""
        return "| \(name) | \(rate) | \(each) | \(files > 0 ? "\(Int(nanoseconds) / files)" : "") |"
    }
}
