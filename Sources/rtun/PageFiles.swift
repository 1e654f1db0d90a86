// SPDX-License-Identifier: MIT

import Archive
import Descriptors

/// A web page on the server, and the files beside it that it names.
struct PageFiles {
    /// The folder with the page, under a name made from the page's.
    let source: Source
    /// The page's name in it.
    let page: EntryName
    /// What is sent of the folder.
    let options: WalkOptions
    /// Files that are named and stand there, and are not sent because there are too many or too large ones.
    private(set) var leftOut: [String] = []

    private static let fileLimit = 500
    private static let byteLimit: Int64 = 200 << 20
    /// Bytes of a page or style sheet that are searched.
    private static let textLimit = 16 << 20

    /// Nil where it is no page, or has nothing beside it: then it is a file like any other.
    init?(_ file: Source) throws {
        guard let ending = Self.ending(of: file.name), ending == "html" || ending == "htm" else { return nil }
        let folderPath = file.folderPath.isEmpty ? "." : file.folderPath
        guard let real = try? ProcessContext.realPath(of: folderPath), let slash = real.lastIndex(of: "/"),
            real.utf8.count > 1,
            let holder = try? Directory.open(slash == real.startIndex ? "/" : String(real[..<slash])),
            let page = try? EntryName(validating: file.name.utf8), try file.folder.status(file.name).kind == .file,
            let name = try? EntryName(validating: file.name.utf8.dropLast(ending.utf8.count + 1)), !name.isReserved
        else { return nil }
        let folderName = String(real[real.index(after: slash)...])
        // The same folder, whatever has happened to its name since it was opened.
        guard try holder.status(folderName).isSameFile(as: file.folder.status()) else { return nil }

        var found: Set<[String]> = [[file.name]]
        var queue: [[String]] = [[file.name]]
        var bytes: Int64 = 0
        var left: [String] = []
        while !queue.isEmpty {
            let path = queue.removeFirst()
            guard let text = Self.text(path, below: file.folder) else { continue }
            for named in PageReferences(in: text, of: path.dropLast()).paths where !found.contains(named) {
                guard let status = Self.status(named, below: file.folder), status.mode & 0o111 == 0 else { continue }
                guard found.count < Self.fileLimit, bytes + status.size <= Self.byteLimit else {
                    left.append(named.joined(separator: "/"))
                    continue
                }
                bytes += status.size
                found.insert(named)
                if ["html", "htm", "css"].contains(Self.ending(of: named[named.count - 1])) { queue.append(named) }
            }
        }
        guard found.count > 1 else { return nil }
        var options = WalkOptions()
        options.skipsLinks = true
        options.selection = Set(found.flatMap { path in path.indices.map { Array(path[...$0]) } })
        source = Source(folder: holder, name: folderName, topLevelName: name, folderPath: String(real[..<slash]))
        self.page = page
        self.options = options
        leftOut = left
    }

    /// The file's status, reached through folders alone; nil where anything on the way is a link or not there.
    private static func status(_ path: [String], below folder: Directory) -> FileStatus? {
        guard let holder = holder(path, below: folder), let name = path.last,
            let status = try? holder.statusIfPresent(name), status.kind == .file
        else { return nil }
        return status
    }

    private static func holder(_ path: [String], below folder: Directory) -> Directory? {
        var holder = folder
        for name in path.dropLast() {
            guard let next = try? holder.subdirectory(name) else { return nil }
            holder = next
        }
        return holder
    }

    private static func text(_ path: [String], below folder: Directory) -> [UInt8]? {
        guard let holder = holder(path, below: folder), let name = path.last else { return nil }
        return try? holder.readSmallFile(name, atMost: textLimit)
    }

    private static func ending(of name: String) -> String? {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        return name[name.index(after: dot)...].lowercased()
    }
}
