// SPDX-License-Identifier: MIT

package import Archive
private import Codecs
private import Descriptors
private import SystemPackage
package import Transfer

/// Where a finished transfer goes: to the inbox, or onto the screen.
package struct Delivery: Sendable {
    /// Folder in the inbox for files that are opened, 0700; a name that no archive can have at its top.
    static let viewFolderName = ".rtun-view"
    /// Seconds after which an opened file is removed at the daemon's next start.
    static let viewLifetime: Int64 = 7 * 86_400
    /// Opened files that are kept besides the newest.
    static let viewLimit = 255

    private(set) var inbox: Inbox
    private let desktop: Desktop
    let shelf: ReceiptShelf
    let workshop: Workshop
    private let turns = Turns()
    private var viewTypes = ViewType.allowedByDefault
    /// The key that governs them.
    private var viewSetting: String?

    package init(inbox: Inbox, desktop: Desktop, shelf: ReceiptShelf, workshop: Workshop) {
        self.inbox = inbox
        self.desktop = desktop
        self.shelf = shelf
        self.workshop = workshop
    }

    /// The same for the folder and the settings of one host.
    package func into(_ inbox: Inbox, for gate: Gate, _ settings: Settings.Host) -> Delivery {
        var delivery = self
        delivery.inbox = inbox
        delivery.viewTypes = settings.viewTypes
        delivery.viewSetting = gate.setting("view")
        return delivery
    }

    /// Publishes a send below the inbox and writes its receipts; missing folders of its destination are made now.
    ///
    /// From the moment that its plan is durable it is completed by the next daemon if this one dies.
    package func deliver(
        _ index: ArchiveIndex,
        _ staging: Staging,
        as head: PublicationHead,
        recall: Recall?,
        conflict: ConflictRule = .auto
    ) async throws -> Committed {
        try await inTurn(of: head.source) {
            do { try inbox.checkInPlace() } catch { throw TransferError.local(.unusableFolder) }
            let names =
                recall?.names
                ?? NamePlan(inbox: inbox.directory, destination: head.destination, conflict: conflict)
            let folder = try openDestination(head.destination)
            var publication = Publication(
                index,
                from: staging,
                to: folder,
                book: recall?.book,
                names: names,
                kept: recall?.kept ?? KeptFiles()
            )
            try publication.plan(head)
            return try complete(publication, head, recall?.book.book)
        }
    }

    /// Completes publications that a daemon before this one has begun, of all sources.
    ///
    /// Returns what could not be completed, and why; it is tried again before its source's next send.
    package func finishInterrupted() -> [(name: String, error: any Error)] {
        var failures: [(name: String, error: any Error)] = []
        finishInterrupted(prefix: "") { failures.append(($0, $1)) }
        return failures
    }

    /// Completes publications of one source before its next send; throws where the disk does not let it.
    package func finishInterrupted(of memory: SourceMemory) async throws {
        try await inTurn(of: memory.name) {
            var failure: (any Error)?
            finishInterrupted(prefix: memory.stagingPrefix) { failure = failure ?? $1 }
            if let failure { throw failure }
        }
    }

    private func finishInterrupted(prefix: String, failed: (String, any Error) -> Void) {
        let found = Staging.interrupted(in: inbox.directory, prefix: prefix) { failed($0, $1) }
        for interrupted in found {
            do {
                let head = interrupted.head
                let folder = try openDestination(head.destination)
                let names = NamePlan(inbox: inbox.directory, destination: head.destination)
                let book = head.source.isEmpty ? nil : try shelf.book(of: head.source, in: inbox.directory)
                try book?.load()
                let publication = Publication(
                    interrupted.index,
                    from: interrupted.staging,
                    to: folder,
                    book: book?.snapshot,
                    names: names
                )
                _ = try complete(publication, head, book)
                try interrupted.staging.remove()
            } catch StagingError.changedMeanwhile {
                // The user has taken something away meanwhile: what was left is published.
            } catch {
                failed(interrupted.staging.name, error)
            }
        }
    }

    private func inTurn<Value: Sendable>(
        of source: String,
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        // Without a name there are no receipts to wait for.
        guard !source.isEmpty else { return try await workshop.run(body) }
        await turns.take(source)
        let result: Result<Value, any Error>
        do { result = .success(try await workshop.run(body)) } catch { result = .failure(error) }
        await turns.leave(source)
        return try result.get()
    }

    /// Plan → steps → folders synced → receipts and the answer, synced.
    private func complete(
        _ publication: Publication,
        _ head: PublicationHead,
        _ book: ReceiptBook?
    ) throws -> Committed {
        var publication = publication
        try publication.carryOut()
        var committed = Committed()
        committed.names = publication.topLevelNames.map { $0.isEmpty ? "" : publication.names.prefix + $0 }
        let left = publication.leftEntries
        for (number, entry) in publication.index.entries.enumerated()
        where !entry.isVoid && (entry.kind == .file || entry.kind == .hardLink) {
            if left.contains(number) {
                committed.left += 1
                continue
            }
            committed.files += 1
            committed.bytes += UInt64(entry.size ?? 0)
        }
        if let book {
            let writer = try book.write()
            try publication.writeReceipts(to: writer, book: book)
            try writer.finish(
                publication.isWhole
                    ? FinishedTransfer(transfer: head.transfer, secret: head.secret, answer: committed.kept) : nil
            )
        }
        guard publication.isWhole else {
            try publication.staging.remove()
            throw StagingError.changedMeanwhile(path: committed.names.first { !$0.isEmpty } ?? "a folder")
        }
        return committed
    }

    /// Opens what may be opened and saves the rest to the inbox.
    ///
    /// `recall` is the one of `viewRecall`: what this source viewed from the same place is replaced. With `isUpdate`
    /// that is all; a file that was not there before is opened.
    package func view(
        _ index: ArchiveIndex,
        _ staging: Staging,
        as head: PublicationHead,
        recall: Recall?,
        page: EntryName?,
        isUpdate: Bool
    ) async throws -> Committed {
        let tops = index.entries.indices.filter { index.entries[$0].parent < 0 && !index.entries[$0].isVoid }
        guard let top = tops.first, tops.count == 1, index.entries[top].kind == (page == nil ? .file : .folder) else {
            throw TransferError.local(Abort(.policy, "one file at a time can be viewed"))
        }
        do { try inbox.checkInPlace() } catch { throw TransferError.local(.unusableFolder) }
        let name = index.entries[top].name.text
        let folder = try viewFolder()
        var names = recall?.names ?? viewNames(at: nil, isPage: page != nil)
        let wanted = names.naming(name)
        let chosen: String
        let standing: FileStatus?
        do throws(SystemError) {
            chosen = try names.choose(top, name: name, isFolder: page != nil, book: recall?.book)
            standing = try folder.statusIfPresent(chosen)
        } catch {
            throw StagingError(error)
        }
        // What is kept has left staging: it is judged where it stands.
        let verdict: ViewVerdict
        if let page {
            let judge = PageFolder(index: index, top: top, page: page, allowed: viewTypes)
            verdict = try await workshop.run {
                try judge.verdict(staged: staging.tree, standing: standing == nil ? nil : folder.subdirectory(chosen))
            }
        } else if index.entries[top].isKept {
            verdict = try ViewType.verdict(on: chosen, as: name, in: folder, allowed: viewTypes)
        } else {
            verdict = try ViewType.verdict(on: name, as: name, in: staging.tree, allowed: viewTypes)
        }
        guard case .open = verdict else {
            var refusal: ViewRefusal?
            if case .saveOnly(let reason) = verdict { refusal = reason }
            let plain = recall.map {
                Recall(book: $0.book.book, donors: [], names: NamePlan(inbox: inbox.directory, destination: []))
            }
            var committed = try await deliver(index, staging, as: head, recall: plain)
            committed.reason = refusal?.description
            if case .notAllowed = refusal { committed.setting = viewSetting }
            return committed
        }
        let plan = names
        let final = try await inTurn(of: head.source) {
            var publication = Publication(index, from: staging, to: folder, book: recall?.book, names: plan)
            try publication.publish()
            if let book = recall?.book.book {
                let writer = try book.write()
                try publication.writeReceipts(to: writer, book: book)
                try writer.finish(nil)
            }
            return publication.topLevelNames.first ?? ""
        }
        trimViews(in: folder, keeping: final)
        var committed = Committed()
        committed.names = [page?.text ?? name]
        for entry in index.entries where !entry.isVoid && entry.kind == .file {
            committed.files += 1
            committed.bytes += UInt64(entry.size ?? 0)
        }
        var path = inbox.path + "/" + Self.viewFolderName + "/" + (final.isEmpty ? wanted : final)
        if let page { path += "/" + page.text }
        if isUpdate, standing != nil {
            committed.view = .replaced
            await desktop.mark(path)
            return committed
        }
        switch await desktop.open(path) {
        case .opened: committed.view = .opened
        case .failed, .unavailable:
            // Which program failed, and how, is the laptop's own business.
            committed.view = .notOpened
            committed.reason = "the laptop could not open it"
        }
        return committed
    }

    /// What is known of a source's viewed files, for a file from this place, or a folder with a page.
    package func viewRecall(_ memory: SourceMemory, place: [UInt8], isPage: Bool) -> Recall {
        Recall(book: memory.book, donors: [], names: viewNames(at: Array(memory.name.utf8) + place, isPage: isPage))
    }

    private func viewFolder() throws -> Directory {
        do throws(SystemError) {
            return try inbox.directory.openOrMakeDirectory(Self.viewFolderName)
        } catch {
            throw StagingError(error)
        }
    }

    /// The names in the view folder: a key, what is harmless of the given name, and for a file the type's own ending.
    ///
    /// The key comes from the place; without one it is random.
    private func viewNames(at place: [UInt8]?, isPage: Bool) -> NamePlan {
        let digest = try? place?.withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) }
        let key = digest?.description ?? String(UInt64.random(in: .min ... .max), radix: 36)
        return NamePlan(inbox: inbox.directory, destination: Self.viewDestination) {
            Self.viewName($0, key: key, isPage: isPage)
        }
    }

    private static let viewDestination = [try? EntryName(validating: viewFolderName.utf8)].compactMap { $0 }

    private static func viewName(_ name: String, key: String, isPage: Bool) -> String {
        let dot = isPage ? nil : name.lastIndex(of: ".")
        let ending = dot.flatMap { ViewType(fileExtension: name[name.index(after: $0)...].lowercased()) }
        let safe = (dot.map { name[..<$0] } ?? name[...]).unicodeScalars.map { scalar -> Character in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", "_": Character(scalar)
            default: "_"
            }
        }
        let base = "\(key.prefix(10))-\(String(safe.prefix(80)))"
        return isPage ? base : "\(base).\(ending?.fileExtension ?? "bin")"
    }

    /// Opens the folders of a destination, making what is missing, and makes their names durable.
    private func openDestination(_ destination: [EntryName]) throws -> Directory {
        do throws(SystemError) {
            var folder = inbox.directory
            for name in destination {
                let holder = folder
                folder = try holder.openOrMakeDirectory(name.text)
                try holder.synchronize()
            }
            return folder
        } catch {
            switch error.errno {
            case .notDirectory, .tooManySymbolicLinkLevels, .fileExists, .permissionDenied:
                throw TransferError.local(.unusableDestination)
            default: throw StagingError(error)
            }
        }
    }

    /// Removes opened files of long ago; failures leave them to the next start.
    package func removeOldViews() {
        guard let folder = try? inbox.directory.subdirectory(Self.viewFolderName) else { return }
        trimViews(in: folder, keeping: "")
    }

    /// Removes opened files and folders of pages that are old, and the oldest where there are too many.
    private func trimViews(in folder: Directory, keeping kept: String) {
        guard let entries = try? folder.entries() else { return }
        let oldest = Timestamp.now().seconds - Self.viewLifetime
        var files: [(name: String, changed: Timestamp)] = []
        for entry in entries {
            guard let name = String(validating: entry.name, as: UTF8.self), name != kept,
                let status = try? folder.status(name), status.kind == .file || status.kind == .directory
            else { continue }
            files.append((name, status.changed))
        }
        files.sort { $0.changed < $1.changed }
        let surplus = max(0, files.count - Self.viewLimit)
        for (position, file) in files.enumerated() where position < surplus || file.changed.seconds < oldest {
            // One that cannot be removed now is met again at the next view.
            try? folder.removeTree(file.name)
        }
    }
}
