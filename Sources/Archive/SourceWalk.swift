// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Something to send: one name in a held folder.
package struct Source: Sendable {
    /// The folder that holds it.
    package let folder: Directory
    /// Its name there; for a folder given as `.`, the last name of its real path.
    package let name: String
    /// Its name at the other end.
    package let topLevelName: EntryName
    /// Path of the folder as the user typed it, for messages; empty where only a name was typed.
    package let folderPath: String

    package init(folder: Directory, name: String, topLevelName: EntryName, folderPath: String) {
        self.folder = folder
        self.name = name
        self.topLevelName = topLevelName
        self.folderPath = folderPath
    }

    var path: String { folderPath.isEmpty ? name : folderPath + "/" + name }
}

/// What is sent of a tree.
package struct WalkOptions: Sendable {
    package var filter: PathFilter?
    /// Nil, or all that is sent: paths of names below a source's own root, the folders on the way included.
    package var selection: Set<[String]>?
    /// Follow symlinks instead of sending them.
    package var copiesLinks = false
    /// Leave symlinks out.
    package var skipsLinks = false

    package init() {}
}

/// An entry that the walk met.
package struct WalkedEntry: Sendable {
    package private(set) var number: UInt32
    package let parent: UInt32?
    /// The folder that holds it.
    package let folder: SourceFolder
    /// Its name in that folder.
    package let sourceName: String
    package let name: EntryName
    package private(set) var status: FileStatus
    /// Seconds since 1970 by this host's clock when it was as `status` says.
    private(set) var seen: Int64
    /// Path of the folder as the user knows it, empty for a source itself.
    package let folderPath: String
    /// Folders above it; 0 for a top-level name.
    package let depth: Int
    package let followsLink: Bool
    /// Position of its source among those of the send.
    let source: UInt32
    /// Bytes of `path` that name the source.
    let sourcePathBytes: Int
    /// How often it was announced, this time included.
    private(set) var attempt = 1

    package var path: String { folderPath.isEmpty ? sourceName : folderPath + "/" + sourceName }

    /// Its name in the files cache.
    var key: FileKey { FileKey(source: source, path: Array(path.utf8.dropFirst(sourcePathBytes))) }

    /// Opens the file itself.
    func open() throws(SystemError) -> OwnedDescriptor {
        try folder.open().openFile(sourceName, followingLink: followsLink)
    }

    /// The entry as it is announced once more, under a new number.
    func again(number: UInt32, status: FileStatus) -> WalkedEntry {
        var copy = self
        copy.number = number
        copy.status = status
        copy.seen = Timestamp.now().seconds
        copy.attempt += 1
        return copy
    }

    /// The entry's record, with the content given.
    func record(_ content: EntryRecord.Content, status: FileStatus? = nil, number: UInt32? = nil) -> EntryRecord {
        let status = status ?? self.status
        return EntryRecord(
            number: number ?? self.number,
            parent: parent,
            name: name,
            mode: status.mode & 0o7777,
            modified: status.modified,
            content: content
        )
    }
}

/// Walks sources depth first, names of one folder bytewise ascending, through held folders and single names.
///
/// A pull iterator with one owner: nothing is read ahead but the names of the folders on the way down, so memory is
/// bounded by depth and by the largest folder. Nothing that fails ends the walk: it becomes a `SourceProblem`.
package struct SourceWalk {
    package enum Step {
        case entry(WalkedEntry)
        case problem(SourceProblem)
    }

    private struct Level {
        let folder: SourceFolder
        /// Keeps the folder open while it is walked.
        let directory: Directory
        let number: UInt32
        let path: String
        /// Bytes of the path as the archive counts them, from the top-level name down.
        let pathBytes: Int
        /// Names in the folder, raw bytes, descending: the next one is the last.
        var names: [[UInt8]]
        /// Device and inode, to find a symlink loop.
        let device: UInt64
        let inode: UInt64
    }

    private var sources: ArraySlice<Source>
    /// Bytes of the path of the source that is walked.
    private var sourcePathBytes = 0
    private let options: WalkOptions
    private var levels: [Level] = []
    /// Names below the source's own root on the way to the current level, for the filter.
    private var components: [String] = []
    private var nextNumber: UInt32 = 0
    /// A folder that was returned and whose names come next.
    private var pendingFolder: WalkedEntry?

    package init(sources: [Source], options: WalkOptions) {
        self.sources = sources[...]
        self.options = options
    }

    /// A fresh entry number, for an entry that is announced again.
    mutating func makeNumber() -> UInt32 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    /// The next entry or problem, nil at the end.
    package mutating func next() -> Step? {
        if let folder = pendingFolder {
            pendingFolder = nil
            if let problem = descend(into: folder) { return .problem(problem) }
        }
        while true {
            guard var level = levels.popLast() else {
                guard let source = sources.popFirst() else { return nil }
                sourcePathBytes = source.path.utf8.count
                return visit(
                    folder: SourceFolder(holding: source.folder),
                    source.folder,
                    sourceName: source.name,
                    name: source.topLevelName,
                    parent: nil,
                    folderPath: source.folderPath,
                    depth: 0
                )
            }
            guard let raw = level.names.popLast() else {
                if !levels.isEmpty { components.removeLast() }
                continue
            }
            levels.append(level)
            let text = String(decoding: raw, as: UTF8.self)
            let name: EntryName
            do throws(EntryName.Fault) {
                name = try EntryName(validating: raw)
            } catch {
                return .problem(SourceProblem(pathBytes: Array((level.path + "/").utf8) + raw, kind: .name(error)))
            }
            guard
                let step = visit(
                    folder: level.folder,
                    level.directory,
                    sourceName: text,
                    name: name,
                    parent: level.number,
                    folderPath: level.path,
                    depth: levels.count
                )
            else { continue }
            return step
        }
    }

    /// Looks at one name; nil where the filter or `--links skip` leaves it out.
    private mutating func visit(
        folder: SourceFolder,
        _ directory: Directory,
        sourceName: String,
        name: EntryName,
        parent: UInt32?,
        folderPath: String,
        depth: Int
    ) -> Step? {
        let path = folderPath.isEmpty ? sourceName : folderPath + "/" + sourceName
        // What the user named is meant itself, not a link to it; below it links are entries unless they are followed.
        var follows = false
        var status: FileStatus
        do throws(SystemError) {
            status = try directory.status(sourceName)
            if status.kind == .symlink, options.copiesLinks || parent == nil {
                follows = true
                status = try directory.status(sourceName, followingLink: true)
            }
        } catch {
            return .problem(SourceProblem(path: path, error: error))
        }
        if parent != nil, let selection = options.selection, !selection.contains(components + [name.text]) {
            return nil
        }
        if parent != nil, let filter = options.filter,
            filter.excludes(components + [name.text], isDirectory: status.kind == .directory)
        {
            return nil
        }
        if status.kind == .symlink, options.skipsLinks { return nil }
        let pathBytes = (levels.last?.pathBytes).map { $0 + 1 + name.text.utf8.count } ?? name.text.utf8.count
        guard depth < ArchiveLimits.depth, pathBytes <= ArchiveLimits.pathBytes else {
            return .problem(SourceProblem(path: path, kind: .tooDeep))
        }
        switch status.kind {
        case .file, .directory, .symlink: break
        default: return .problem(SourceProblem(path: path, kind: .special(status.kind)))
        }
        let entry = WalkedEntry(
            number: makeNumber(),
            parent: parent,
            folder: folder,
            sourceName: sourceName,
            name: name,
            status: status,
            seen: Timestamp.now().seconds,
            folderPath: folderPath,
            depth: depth,
            followsLink: follows,
            source: UInt32(sources.startIndex) - 1,
            sourcePathBytes: sourcePathBytes
        )
        if status.kind == .directory { pendingFolder = entry }
        return .entry(entry)
    }

    /// Opens a folder and lists it; the folder itself has been sent, so a failure costs only what is in it.
    private mutating func descend(into entry: WalkedEntry) -> SourceProblem? {
        if entry.followsLink,
            levels.contains(where: { $0.device == entry.status.device && $0.inode == entry.status.inode })
        {
            return SourceProblem(path: entry.path, kind: .loop)
        }
        do throws(SystemError) {
            let folder = SourceFolder(entry.sourceName, in: entry.folder, followsLink: entry.followsLink)
            let directory = try folder.open()
            var names = try directory.names()
            names.sort { $1.lexicographicallyPrecedes($0) }
            if !levels.isEmpty { components.append(entry.name.text) }
            levels.append(
                Level(
                    folder: folder,
                    directory: directory,
                    number: entry.number,
                    path: entry.path,
                    pathBytes: ((levels.last?.pathBytes).map { $0 + 1 } ?? 0) + entry.name.text.utf8.count,
                    names: names,
                    device: entry.status.device,
                    inode: entry.status.inode
                )
            )
            return nil
        } catch {
            return SourceProblem(path: entry.path, error: error)
        }
    }
}
