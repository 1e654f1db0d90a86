// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import SystemPackage

/// Waits until a file becomes another: by its size, times and inode, asked every so often.
///
/// Where the system tells of changes in the folder (inotify) the question comes at once; what other machines write on
/// a network file system is found by asking alone. Waiting blocks the thread.
// Whoever waits is its only user: one job after the other; that makes the unchecked conformance true.
package final class FileWatch: @unchecked Sendable {
    /// What tells one state of a file from another.
    private struct State: Equatable {
        let inode: UInt64
        let size: Int64
        let modified: Timestamp
    }

    private let folder: Directory
    private let name: String
    private let changes: OwnedDescriptor?
    private let interval: Int32
    private let settling: Int32
    /// The state that was last handed out; nil while there is no file.
    private var known: State?

    /// Watches a name in a folder; links are followed.
    ///
    /// - Parameters:
    ///   - folder: held open.
    ///   - folderPath: its path, for the system's notices.
    ///   - name: a file in it, which may go and come again.
    ///   - interval: milliseconds between two questions.
    ///   - settling: milliseconds for which a file must stay as it is before it counts as written.
    package init(
        _ folder: Directory,
        at folderPath: String,
        name: String,
        interval: Int32 = 1_000,
        settling: Int32 = 150
    ) {
        self.folder = folder
        self.name = name
        self.interval = interval
        self.settling = settling
        let number = SystemCall.attempt { unsafe descriptors_watch_folder(folderPath.isEmpty ? "." : folderPath) }
        // Without notices there are still the questions.
        if case .success(let number) = number { changes = OwnedDescriptor(adopting: number) } else { changes = nil }
        known = try? Self.state(folder, name)
    }

    /// Waits for the next state that lasts; one that keeps changing is taken after two seconds.
    ///
    /// False after about `milliseconds` without a change, so that the caller can look at something else.
    package func wait(milliseconds: Int32) throws(SystemError) -> Bool {
        var left = milliseconds
        while left > 0 {
            let pause = min(left, interval)
            try pauseOrChange(pause)
            left -= pause
            guard var state = try Self.state(folder, name), state != known else { continue }
            var settled = 0 as Int32
            while settled < 2_000 {
                try SystemCall.run("poll", to: "wait") { descriptors_wait_either(-1, -1, settling) }
                settled += settling
                guard let now = try Self.state(folder, name) else { break }
                if now == state {
                    known = state
                    return true
                }
                state = now
                if settled >= 2_000 {
                    known = state
                    return true
                }
            }
        }
        return false
    }

    private func pauseOrChange(_ milliseconds: Int32) throws(SystemError) {
        switch changes {
        case .none: try SystemCall.run("poll", to: "wait") { descriptors_wait_either(-1, -1, milliseconds) }
        case .some(let changes):
            guard try changes.waitUntilReadable(milliseconds: milliseconds) else { return }
            // What changed is asked of the file itself.
            let slab = try Slab(capacity: 4_096)
            _ = try slab.withMutableBytes(0..<slab.capacity) { (span: inout MutableRawSpan) throws(SystemError) in
                try changes.readSome(into: &span)
            }
        }
    }

    private static func state(_ folder: Directory, _ name: String) throws(SystemError) -> State? {
        do throws(SystemError) {
            let status = try folder.status(name, followingLink: true)
            return State(inode: status.inode, size: status.size, modified: status.modified)
        } catch {
            guard error.isMissingFile else { throw error }
            return nil
        }
    }
}
