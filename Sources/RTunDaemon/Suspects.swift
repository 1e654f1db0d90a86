// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
private import Synchronization
package import Transfer

/// Remembers which transfers ran when the daemon died by a fault of its own, and sets aside the one that kills it.
///
/// A file beside the sockets names the transfers that run. A daemon that follows one that has crashed (the supervisor
/// says so; being killed is no crash) finds them there. One that was there twice in a row is a suspect, and suspects
/// run one at a time; at the third crash in a row there is one culprit, which is refused from then on. The file is not
/// synced: it outlives a process, and need not outlive the machine.
package final class Suspects: Sendable {
    /// What OPEN of a transfer is answered with.
    package enum Verdict: Sendable {
        case admitted
        /// It runs already.
        case running
        /// Another suspect runs.
        case later
        case setAside
    }

    private struct Line {
        let transfer: TransferID
        /// Crashes in a row.
        var crashes: Int
        var isRunning: Bool
    }

    private static let suspicion = 2
    private static let culprit = 3
    /// Transfers that are remembered; more than connections can be.
    private static let capacity = 160
    /// Bytes of a line: id, crashes and state, each with what parts them.
    private static let lineBytes = 21

    private let file: OwnedDescriptor
    private let lines: Mutex<[Line]>

    /// Reads what the daemon before this one has left in the folder.
    package init(in folder: Directory, afterCrash: Bool) throws(SystemError) {
        let name = "running-transfers"
        if try folder.statusIfPresent(name) == nil { try folder.createFile(name).close() }
        let file = try folder.openFile(name, writable: true)
        let slab = try Slab(capacity: Self.capacity * Self.lineBytes)
        let count = try slab.withMutableBytes(0..<slab.capacity) { (span: inout MutableRawSpan) throws(SystemError) in
            try file.read(into: &span, at: 0)
        }
        let text = slab.withBytes(0..<count) { $0.validUTF8 } ?? ""
        lines = Mutex(
            text.split(separator: "\n").compactMap(Self.line).compactMap { line in
                var line = line
                if line.crashes >= Self.culprit { return line }
                if afterCrash { line.crashes = line.isRunning ? line.crashes + 1 : 0 }
                line.isRunning = false
                return line.crashes > 0 ? line : nil
            }
        )
        self.file = file
        // What was counted now must not be counted again if this daemon dies before a transfer begins.
        try lines.withLock { (lines: inout [Line]) throws(SystemError) in try write(lines) }
    }

    /// Transfers that are refused.
    package var setAside: [TransferID] {
        lines.withLock { $0.filter { $0.crashes >= Self.culprit }.map(\.transfer) }
    }

    /// Notes that a transfer begins; if admitted, `end` must be called when it has ended.
    package func begin(_ transfer: TransferID) throws(SystemError) -> Verdict {
        try lines.withLock { (lines: inout [Line]) throws(SystemError) in
            let known = lines.firstIndex { $0.transfer == transfer }
            if let known, lines[known].isRunning { return .running }
            let crashes = known.map { lines[$0].crashes } ?? 0
            if crashes >= Self.culprit { return .setAside }
            if crashes >= Self.suspicion, lines.contains(where: { $0.isRunning && $0.crashes >= Self.suspicion }) {
                return .later
            }
            if let known { lines.remove(at: known) }
            // The oldest that does not run gives way.
            if lines.count >= Self.capacity, let old = lines.firstIndex(where: { !$0.isRunning }) {
                lines.remove(at: old)
            }
            lines.append(Line(transfer: transfer, crashes: crashes, isRunning: true))
            try write(lines)
            return .admitted
        }
    }

    /// Notes that a transfer has ended, however it did: it has not killed the daemon.
    package func end(_ transfer: TransferID) {
        lines.withLock { lines in
            lines.removeAll { $0.transfer == transfer && $0.isRunning }
            // At worst an innocent transfer stays a suspect.
            try? write(lines)
        }
    }

    /// One write of the whole: a crash of another thread cannot fall into the middle.
    private func write(_ lines: [Line]) throws(SystemError) {
        var text = ""
        for line in lines.prefix(Self.capacity) {
            text += "\(line.transfer) \(min(line.crashes, 9)) \(line.isRunning ? 1 : 0)\n"
        }
        text += String(repeating: "\n", count: Self.capacity * Self.lineBytes - text.utf8.count)
        try Array(text.utf8).withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span, at: 0) }
    }

    private static func line(_ text: Substring) -> Line? {
        let words = text.split(separator: " ")
        guard words.count == 3, let id = UInt64(words[0], radix: 16), let crashes = Int(words[1]) else { return nil }
        return Line(transfer: TransferID(rawValue: id), crashes: crashes, isRunning: words[2] == "1")
    }
}
