// SPDX-License-Identifier: MIT

import Archive
import Descriptors

/// A web page and the files beside it, judged as a whole before it is opened (`docs/protocol.md` section 5.8).
struct PageFolder: Sendable {
    /// Entries of the folder, itself included.
    static let entryLimit = 1_000
    /// Endings of files that a page may have beside it: what browsers load and desktops are not asked to open.
    private static let besideTypes: Set<String> = [
        "html", "htm", "css", "js", "mjs", "json", "map", "txt", "csv", "tsv", "pdf",
        "png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "bmp", "avif",
        "woff", "woff2", "ttf", "otf", "eot", "mp4", "webm",
    ]

    let index: ArchiveIndex
    /// The folder's entry.
    let top: Int
    let page: EntryName
    let allowed: Set<ViewType>

    /// Judges every entry; what is kept is judged where it stands, below `standing`, the rest below `staged`.
    func verdict(staged: Directory, standing: Directory?) throws -> ViewVerdict {
        guard Self.isHarmless(page.text) else { return .saveOnly(reason: .pageName) }
        var verdict = ViewVerdict.saveOnly(reason: .notRegular)
        var count = 0
        var bytes: Int64 = 0
        for entry in index.entries.indices where entry != top && !index.entries[entry].isVoid {
            let name = index.entries[entry].name.text
            count += 1
            bytes += index.entries[entry].size ?? 0
            guard count < Self.entryLimit, bytes <= ViewType.sizeLimit else {
                return .saveOnly(reason: .tooMuchBeside)
            }
            switch index.entries[entry].kind {
            case .folder: continue
            case .file: break
            default: return .saveOnly(reason: .beside(name))
            }
            let holder = try folder(of: entry, staged: staged, standing: standing)
            if index.entries[entry].name == page, Int(index.entries[entry].parent) == top {
                verdict = try ViewType.verdict(on: name, as: name, in: holder, allowed: allowed)
                guard case .open(let type) = verdict else { return verdict }
                guard type == .html else { return .saveOnly(reason: .contentDiffers(.html)) }
            } else if try !Self.mayStandBeside(name, in: holder) {
                return .saveOnly(reason: .beside(name))
            }
        }
        return verdict
    }

    /// The folder that holds an entry, where its bytes are.
    private func folder(of entry: Int, staged: Directory, standing: Directory?) throws(SystemError) -> Directory {
        var names: [String] = []
        var parent = Int(index.entries[entry].parent)
        while parent >= 0, parent != top {
            names.append(index.entries[parent].name.text)
            parent = Int(index.entries[parent].parent)
        }
        var folder: Directory
        if index.entries[entry].isKept, let standing {
            folder = standing
        } else {
            folder = try staged.subdirectory(index.entries[top].name.text)
        }
        for name in names.reversed() { folder = try folder.subdirectory(name) }
        return folder
    }

    private static func mayStandBeside(_ name: String, in folder: Directory) throws(SystemError) -> Bool {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex,
            besideTypes.contains(name[name.index(after: dot)...].lowercased())
        else { return false }
        let file = try folder.openFile(name)
        let status = try file.status()
        guard status.kind == .file, status.mode & 0o111 == 0 else { return false }
        var start = [UInt8](repeating: 0, count: 8)
        var span = start.mutableSpan
        var bytes = span.mutableBytes
        let count = try file.read(into: &bytes, at: 0)
        return !ViewType.beginsAsProgram(Array(start.prefix(count)))
    }

    /// Whether every program that a desktop hands the path to takes the name for a name.
    private static func isHarmless(_ name: String) -> Bool {
        guard let first = name.unicodeScalars.first, first.properties.isAlphabetic || ("0"..."9").contains(first) else {
            return false
        }
        return name.unicodeScalars.allSatisfy { scalar in
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                || " -_.,+=()[]@".unicodeScalars.contains(scalar)
        }
    }
}

extension ViewType {
    /// Judges a file in a folder, under the name that the peer gave.
    static func verdict(
        on file: String,
        as name: String,
        in folder: Directory,
        allowed: Set<ViewType>
    ) throws -> ViewVerdict {
        let file = try folder.openFile(file)
        let status = try file.status()
        return try verdict(name: name, size: status.size, mode: status.mode, allowed: allowed) {
            (span: inout MutableRawSpan, offset: Int64) throws(SystemError) in
            try file.read(into: &span, at: offset)
        }
    }
}
