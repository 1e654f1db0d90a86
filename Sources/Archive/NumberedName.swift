// SPDX-License-Identifier: MIT

extension Publication {
    /// Numbers that are tried.
    static let highestNumber = 9_999
    /// Bytes behind a dot that still count as the ending of a name.
    private static let longestEnding = 64

    /// `name (2).ext`; folders and names that begin with their only dot keep it all in front; `.tar.gz` stays whole.
    package static func numbered(_ name: String, _ number: Int, isFolder: Bool) -> String {
        var stem = name
        var ending = ""
        if !isFolder, let dot = name.lastIndex(of: "."), dot != name.startIndex {
            stem = String(name[..<dot])
            ending = String(name[dot...])
            if stem.hasSuffix(".tar"), stem.count > 4 {
                stem.removeLast(4)
                ending = ".tar" + ending
            }
            if ending.utf8.count > longestEnding {
                stem = name
                ending = ""
            }
        }
        let mark = " (\(number))"
        // A name has at most 255 bytes: the stem gives way, whole characters at a time.
        while stem.utf8.count + mark.utf8.count + ending.utf8.count > ArchiveLimits.nameBytes, !stem.isEmpty {
            stem.removeLast()
        }
        return stem + mark + ending
    }
}
