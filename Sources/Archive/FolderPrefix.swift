// SPDX-License-Identifier: MIT

/// What the paths of one folder's entries begin with: kept for the next one, since neighbours share it.
package struct FolderPrefix: Sendable {
    /// What stands before everything.
    private let base: String
    /// No entry at first: −1 is the top.
    private var folder = -2
    private var prefix = ""

    package init(_ base: String = "") {
        self.base = base
    }

    /// The names from the top down to the folder of entry index `folder`, each with a `/` behind it; −1 has none.
    ///
    /// `finalNames` are of those entries that do not have the name of their record any more.
    package mutating func of(_ folder: Int, in index: ArchiveIndex, finalNames: [Int: String] = [:]) -> String {
        if folder == self.folder { return prefix }
        var names: [String] = []
        var cursor = folder
        while cursor >= 0 {
            names.append(finalNames[cursor] ?? index.entries[cursor].name.text)
            cursor = Int(index.entries[cursor].parent)
        }
        self.folder = folder
        prefix = names.reversed().reduce(into: base) { $0 += $1 + "/" }
        return prefix
    }
}
