// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Where the top-level names of a send go: the folder below the inbox, and which of `name`, `name (2)` … each is.
///
/// Chosen once for each name, since what is kept counts on it: publishing uses the same choice or fails.
package struct NamePlan: Sendable {
    package let inbox: Directory
    /// Folders below the inbox, outermost first.
    package let destination: [EntryName]
    /// What a top-level name is to be called, before any number.
    package let naming: @Sendable (String) -> String
    package let conflict: ConflictRule
    private var chosen: [Int: String] = [:]

    package init(
        inbox: Directory,
        destination: [EntryName],
        conflict: ConflictRule = .auto,
        naming: @escaping @Sendable (String) -> String = { $0 }
    ) {
        self.inbox = inbox
        self.destination = destination
        self.conflict = conflict
        self.naming = naming
    }

    /// The destination as the beginning of a path: empty, or with a slash at the end.
    package var prefix: String { destination.map { $0.text + "/" }.joined() }

    /// The first of `name`, `name (2)` … that is free or that this source delivered, for a top-level entry.
    ///
    /// Where the conflict rule numbers nothing it is the name itself, where it renames what was delivered is no better
    /// than anything else.
    package mutating func choose(
        _ entry: Int,
        name: String,
        isFolder: Bool,
        book: ReceiptSnapshot?
    ) throws(SystemError) -> String {
        if let name = chosen[entry] { return name }
        let name = naming(name)
        let folder = try destinationIfPresent()
        var candidate = name
        var number = 2
        while conflict.numbers, let status = try folder?.statusIfPresent(candidate), number <= 9_999 {
            if conflict == .auto, let receipt = book?[prefix + candidate], receipt.isOf(status) { break }
            candidate = Publication.numbered(name, number, isFolder: isFolder)
            number += 1
        }
        chosen[entry] = candidate
        return candidate
    }

    /// The folder to deliver to, as far as it is there.
    private func destinationIfPresent() throws(SystemError) -> Directory? {
        var folder = inbox
        for name in destination {
            guard try folder.statusIfPresent(name.text)?.kind == .directory else { return nil }
            folder = try folder.subdirectory(name.text)
        }
        return folder
    }
}
