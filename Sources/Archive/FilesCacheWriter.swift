// SPDX-License-Identifier: MIT

private import Codecs
package import Descriptors

/// Writes down what an attempt reads, for the attempts to come.
///
/// It is not synced: what a crash takes is read again. Used by one task, one call after the other.
// Unchecked: the sender's emitting stage alone writes, and finishes it when that has ended.
package final class FilesCacheWriter: @unchecked Sendable {
    private static let batchBytes = 64 << 10
    /// After which a smaller batch is written, too: that much reading a kill costs.
    private static let batchTime: Duration = .seconds(1)

    private let folder: Directory
    private let number: UInt64
    private var file: OwnedDescriptor?
    private var offset: Int64 = 0
    private var batch: [UInt8] = []
    private var lastFlush = ProcessContext.monotonicNow

    /// Begins a log in the folder of a send; the file is made with the first batch.
    package init(in folder: Directory) {
        self.folder = folder
        number = (FilesCache.numbers(in: folder).max() ?? 0) + 1
    }

    /// True where `append` has enough to `flush`.
    package var isFull: Bool {
        batch.count >= Self.batchBytes || ProcessContext.monotonicNow - lastFlush >= Self.batchTime
    }

    package func append(_ stretches: [UInt8]) {
        batch.append(contentsOf: stretches)
    }

    /// Writes what was appended since.
    ///
    /// Throws what the system says; the log is good up to the last batch then.
    package func flush() throws {
        lastFlush = ProcessContext.monotonicNow
        guard !batch.isEmpty else { return }
        var bytes = file == nil ? FilesCache.log.header : []
        try FilesCache.log.encode(batch: batch, to: &bytes)
        batch.removeAll(keepingCapacity: true)
        if file == nil { file = try folder.createFile(FilesCache.name(number)) }
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try file?.writeAll(span, at: offset) }
        offset += Int64(bytes.count)
    }

    /// Ends the log of an attempt that went through all sources: older ones say nothing more.
    package func finish() throws {
        try flush()
        for other in FilesCache.numbers(in: folder) where other < number {
            try folder.removeFile(FilesCache.name(other))
        }
    }
}
