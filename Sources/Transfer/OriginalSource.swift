// SPDX-License-Identifier: MIT

package import Archive
private import Descriptors

/// One file on its way to a daemon of the original tool.
package struct OriginalItem: Sendable {
    package let entry: WalkedEntry
    /// As the command says it.
    package let path: String
    /// The path of its top-level entry below the inbox.
    package let top: String
}

/// Walks sources for a daemon that takes nothing but files: each with its path, the rest as problems.
// One job has it at a time: `OriginalSender` waits for each.
package final class OriginalSource: @unchecked Sendable {
    private var walk: SourceWalk
    private let destination: [EntryName]
    private let isView: Bool
    private let report: @Sendable (SourceProblem) -> Void
    /// Names from the inbox down, and path for the user, of folders on the way.
    private var folders: [UInt32: [EntryName]] = [:]
    /// Folders in which nothing was met, by number.
    private var empty: [UInt32: String] = [:]

    /// Makes a source whose files go below `destination`; `report` is told of everything that is not sent.
    package init(
        _ walk: SourceWalk,
        to destination: [EntryName],
        isView: Bool,
        report: @escaping @Sendable (SourceProblem) -> Void
    ) {
        self.walk = walk
        self.destination = destination
        self.isView = isView
        self.report = report
    }

    /// The next file, nil behind the last; blocks on the file system.
    func next() -> OriginalItem? {
        while let step = walk.next() {
            switch step {
            case .problem(let problem): report(problem)
            case .entry(let entry):
                if let parent = entry.parent { empty[parent] = nil }
                let names = (entry.parent.flatMap { folders[$0] } ?? destination) + [entry.name]
                switch entry.status.kind {
                case .directory:
                    folders[entry.number] = names
                    empty[entry.number] = entry.path
                case .file:
                    do throws(OriginalName.Fault) {
                        let path = isView ? OriginalName.viewed(entry.name) : try OriginalName.path(names)
                        let top = names.prefix(destination.count + 1).map(\.text).joined(separator: "/")
                        return OriginalItem(entry: entry, path: path, top: top)
                    } catch {
                        report(SourceProblem(path: entry.path, kind: .notForOriginal(error.rawValue)))
                    }
                default:
                    report(SourceProblem(path: entry.path, kind: .notForOriginal(Self.filesAlone)))
                }
            }
        }
        for (_, path) in empty.sorted(by: { $0.key < $1.key }) {
            report(SourceProblem(path: path, kind: .notForOriginal("is empty; " + Self.filesAlone)))
        }
        empty = [:]
        return nil
    }

    private static let filesAlone = "the original daemon takes files alone"
}
