// SPDX-License-Identifier: MIT

import Descriptors
import Transfer

extension SendRequest {
    /// The request of a command line: the same words from the same folder mean the same send.
    ///
    /// Throws where a path that needs resolving cannot be.
    init(paths: [String], recursive: Bool, output: String?, selection: SelectionOptions) throws {
        let folder = try ProcessContext.currentDirectory()
        self.init(sources: try paths.map { try Self.absolute($0, in: folder) })
        isRecursive = recursive
        self.output = output
        try selection.note(in: &self)
    }

    /// The path from the root, as `docs/archive-format.md` section 10 has it.
    static func absolute(_ path: String, in folder: String) throws -> String {
        var parts = path.split(separator: "/", omittingEmptySubsequences: true)
        guard let last = parts.last, last != ".", last != ".." else { return try ProcessContext.realPath(of: path) }
        if parts.contains("..") {
            let holder = parts.dropLast().joined(separator: "/")
            let real = try ProcessContext.realPath(of: (path.hasPrefix("/") ? "/" : "") + holder)
            return (real == "/" ? "" : real) + "/" + last
        }
        parts.removeAll { $0 == "." }
        let start = path.hasPrefix("/") || folder == "/" ? "" : folder
        return start + "/" + parts.joined(separator: "/")
    }

    /// What a list calls it.
    var title: String {
        let more = sources.count > 1 ? " and \(sources.count - 1) more" : ""
        return safe(sources.first ?? "") + more
    }
}
