// SPDX-License-Identifier: MIT

package import Archive
private import Descriptors
private import SystemPackage
package import Transfer

/// Where a finished transfer goes: to the inbox, or onto the screen.
package struct Delivery: Sendable {
    /// Folder in the inbox for files that are opened, 0700; a name that no archive can have at its top.
    static let viewFolderName = ".rtun-view"
    /// Seconds after which an opened file is removed at the daemon's next start.
    static let viewLifetime: Int64 = 7 * 86_400

    private(set) var inbox: Inbox
    let opener: Opener
    let shelf: ReceiptShelf
    let workshop: Workshop
    private let turns = Turns()
    private var viewTypes = ViewType.allowedByDefault
    /// The key that governs them.
    private var viewSetting: String?

    package init(inbox: Inbox, opener: Opener, shelf: ReceiptShelf, workshop: Workshop) {
        self.inbox = inbox
        self.opener = opener
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
        recall: Recall?
    ) async throws -> Committed {
        try await inTurn(of: head.source) {
            do { try inbox.checkInPlace() } catch { throw TransferError.local(.unusableFolder) }
            let names = recall?.names ?? NamePlan(inbox: inbox.directory, destination: head.destination)
            let folder = try openDestination(head.destination)
            var publication = Publication(index, from: staging, to: folder, book: recall?.book, names: names)
            try publication.plan(head)
            return try complete(publication, head, recall?.book)
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
                    book: book,
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
        for entry in publication.index.entries
        where !entry.isVoid && (entry.kind == .file || entry.kind == .hardLink) {
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
    package func view(
        _ index: ArchiveIndex,
        _ staging: Staging,
        as head: PublicationHead,
        recall: Recall?
    ) async throws -> Committed {
        let tops = index.entries.indices.filter { index.entries[$0].parent < 0 && !index.entries[$0].isVoid }
        guard tops.count == 1, index.entries[tops[0]].kind == .file else {
            throw TransferError.local(Abort(.policy, "one file at a time can be viewed"))
        }
        let name = index.entries[tops[0]].name.text
        switch try verdict(on: name, in: staging) {
        case .saveOnly(let reason):
            var committed = try await deliver(index, staging, as: head, recall: recall)
            committed.reason = reason.description
            if case .notAllowed = reason { committed.setting = viewSetting }
            return committed
        case .open(let type):
            let made = Self.viewName(name, type)
            let folder: Directory
            do throws(SystemError) {
                folder = try inbox.directory.openOrMakeDirectory(Self.viewFolderName)
            } catch {
                throw StagingError(error)
            }
            var publication = Publication(
                index,
                from: staging,
                to: folder,
                book: nil,
                names: NamePlan(inbox: folder, destination: [])
            )
            try publication.publish { _ in made }
            guard let final = publication.topLevelNames.first, !final.isEmpty else { throw StagingError.inUse }
            var committed = Committed()
            committed.names = [name]
            committed.files = 1
            committed.bytes = UInt64(index.entries[tops[0]].size ?? 0)
            switch await opener.open(inbox.path + "/" + Self.viewFolderName + "/" + final) {
            case .opened: committed.view = .opened
            case .failed, .unavailable:
                // Which program failed, and how, is the laptop's own business.
                committed.view = .notOpened
                committed.reason = "the laptop could not open it"
            }
            return committed
        }
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
        guard let folder = try? inbox.directory.subdirectory(Self.viewFolderName),
            let entries = try? folder.entries()
        else { return }
        let oldest = Timestamp.now().seconds - Self.viewLifetime
        for entry in entries {
            guard let name = String(validating: entry.name, as: UTF8.self), let status = try? folder.status(name),
                status.kind == .file, status.changed.seconds < oldest
            else { continue }
            try? folder.removeFile(name)
        }
    }

    private func verdict(on name: String, in staging: Staging) throws -> ViewVerdict {
        let file = try staging.tree.openFile(name)
        let status = try file.status()
        return try ViewType.verdict(name: name, size: status.size, mode: status.mode, allowed: viewTypes) {
            (span: inout MutableRawSpan, offset: Int64) throws(SystemError) in
            try file.read(into: &span, at: offset)
        }
    }

    /// A name that the daemon makes: random digits, what is harmless of the given name, the type's own ending.
    private static func viewName(_ name: String, _ type: ViewType) -> String {
        let stem = name.lastIndex(of: ".").map { name[..<$0] } ?? name[...]
        let safe = stem.unicodeScalars.map { scalar -> Character in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", "_": Character(scalar)
            default: "_"
            }
        }
        let digits = String(UInt64.random(in: .min ... .max), radix: 36)
        return "\(digits.prefix(6))-\(String(safe.prefix(80))).\(type.fileExtension)"
    }
}
