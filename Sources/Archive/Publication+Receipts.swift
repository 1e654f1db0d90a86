// SPDX-License-Identifier: MIT

import Descriptors

extension Publication {
    /// Writes the receipts of everything that was put in place, in one pass over the stored manifest.
    ///
    /// What has changed since it was staged gets none: it is the user's from now on.
    package func writeReceipts(to writer: ReceiptWriter, book: ReceiptBook) throws(StagingError) {
        var lists: [Int: [ChunksRecord.Item]] = [:]
        let linkTargets = Set(index.hardLinks.values)
        let left = leftEntries
        var ofLinked: [Int: [ChunksRecord.Item]] = [:]
        var prefix = FolderPrefix(names.prefix)
        var entry = -1
        var failure: StagingError?
        try staging.readManifest { record throws(FormatError) in
            var ended: (entry: Int, items: [ChunksRecord.Item])?
            switch record {
            case .header, .retract: return
            case .entry(let record):
                entry += 1
                // A list that ends will come; a hard link waits for that of its file.
                switch record.content {
                case .folder, .symlink, .file(size: .some(0)): ended = (entry, [])
                case .file, .hardLink: return
                }
            case .chunks(let chunks):
                guard let file = index.index(ofNumber: chunks.entry), !index.entries[file].isVoid else { return }
                if !index.entries[file].isKept { lists[file, default: []].append(contentsOf: chunks.items) }
                guard chunks.isLast else { return }
                ended = (file, lists.removeValue(forKey: file) ?? [])
            }
            guard let ended, failure == nil, !left.contains(ended.entry) else { return }
            if linkTargets.contains(ended.entry) { ofLinked[ended.entry] = ended.items }
            do throws(StagingError) {
                try writeReceipt(of: ended.entry, ended.items, &prefix, to: writer, book)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        for (link, target) in index.hardLinks.sorted(by: { $0.key < $1.key }) {
            guard !left.contains(link) else { continue }
            try writeReceipt(of: link, ofLinked[target] ?? [], &prefix, to: writer, book)
        }
    }

    private func writeReceipt(
        of entry: Int,
        _ items: [ChunksRecord.Item],
        _ prefix: inout FolderPrefix,
        to writer: ReceiptWriter,
        _ book: ReceiptBook
    ) throws(StagingError) {
        let parent = Int(index.entries[entry].parent)
        let kind = index.entries[entry].kind
        guard !index.entries[entry].isVoid, !absent.contains(entry), kind != .folder || parent < 0 else { return }
        let isKept = index.entries[entry].isKept
        // A kept file has its receipt, unless it has other names and one of them was replaced or is new.
        if isKept, index.hardLinks.isEmpty { return }
        let name = finalNames[entry] ?? index.entries[entry].name.text
        let finalPath = prefix.of(parent, in: index, finalNames: finalNames) + name
        let found: FileStatus?
        do throws(SystemError) {
            found = try folders.handle(of: parent)?.statusIfPresent(name)
        } catch {
            guard error.meansMoved else { throw StagingError(error) }
            return
        }
        guard let status = found else { return }
        var items = items
        if isKept {
            guard hasMovedChangeTime(status), let receipt = book[finalPath],
                receipt.isOf(status, ignoringChangeTime: true)
            else { return }
            items = receipt.items
        } else {
            guard isAsStaged(index.hardLinks[entry] ?? entry, status) else { return }
            if let target = index.hardLinks[entry], index.entries[target].isKept {
                let targetName = finalNames[target] ?? index.entries[target].name.text
                let folder = Int(index.entries[target].parent)
                items = book[prefix.of(folder, in: index, finalNames: finalNames) + targetName]?.items ?? []
            }
        }
        try writer.add(
            finalPath,
            Receipt(
                kind: kind == .hardLink ? .file : kind,
                identity: FileIdentity(status),
                mode: UInt32(index.entries[entry].mode),
                items: items
            )
        )
    }

    /// Whether a final name still stands for what was staged: nobody has written to it since.
    private func isAsStaged(_ entry: Int, _ status: FileStatus) -> Bool {
        let wanted = index.entries[entry].modified
        switch (index.entries[entry].kind, status.kind) {
        case (.folder, .directory): return true
        case (.file, .file): if status.size != index.entries[entry].size { return false }
        case (.symlink, .symlink): break
        default: return false
        }
        // A time in the future was cut to some limit of it; whoever writes now sets one in the past.
        return status.modified == wanted.clamped || (wanted > Timestamp.now() && status.modified > Timestamp.now())
    }
}
