// SPDX-License-Identifier: MIT

package import Descriptors

/// Reads one file from its start to the size that it had when it was opened, and notices when it changes.
// Has one owner, and one job reads it at a time.
package final class PlainFile: @unchecked Sendable {
    /// The size fixed at open, in bytes.
    package let size: Int64
    private let descriptor: OwnedDescriptor
    private let opened: FileStatus
    private let path: String
    private var position: Int64 = 0

    /// Opens the file that the walk met.
    package init(_ entry: WalkedEntry) throws(SourceProblem) {
        path = entry.path
        do throws(SystemError) {
            descriptor = try entry.folder.open().openFile(entry.sourceName, followingLink: entry.followsLink)
            opened = try descriptor.status()
        } catch {
            throw SourceProblem(path: entry.path, error: error)
        }
        guard opened.kind == .file else { throw SourceProblem(path: path, kind: .changed) }
        size = opened.size
        descriptor.adviseSequential()
    }

    /// Reads the next bytes into the slab, as many as fit or are left; 0 behind the last one.
    ///
    /// Throws where there are fewer than the size promised.
    package func read(into slab: Slab) throws(SourceProblem) -> Int {
        let wanted = Int(min(Int64(slab.capacity), size - position))
        guard wanted > 0 else { return 0 }
        let count: Int
        do throws(SystemError) {
            count = try slab.withMutableBytes(0..<wanted) { (span: inout MutableRawSpan) throws(SystemError) in
                try descriptor.read(into: &span, at: position)
            }
        } catch {
            throw SourceProblem(path: path, error: error)
        }
        guard count == wanted else { throw SourceProblem(path: path, kind: .changed) }
        position += Int64(count)
        return count
    }

    /// What happened to the file while it was read; nil where nothing did.
    package func problem() throws(SourceProblem) -> SourceProblem? {
        let now: FileStatus
        do throws(SystemError) {
            now = try descriptor.status()
        } catch {
            throw SourceProblem(path: path, error: error)
        }
        if now.isSameContent(as: opened) { return nil }
        return SourceProblem(path: path, kind: now.size > opened.size ? .grew : .changed)
    }
}
