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

    let inbox: Inbox
    let opener: Opener

    package init(inbox: Inbox, opener: Opener) {
        self.inbox = inbox
        self.opener = opener
    }

    /// Publishes a send below the inbox; `missing` folders of its destination are made now.
    package func deliver(
        _ index: ArchiveIndex,
        _ staging: Staging,
        to destination: [EntryName]
    ) throws -> Committed {
        var folder = inbox.directory
        for name in destination {
            do throws(SystemError) { folder = try folder.openOrMakeDirectory(name.text) } catch {
                throw StagingError(error)
            }
        }
        let outcomes = try Publication(destination: folder).publish(index, from: staging)
        var committed = Committed()
        let prefix = destination.map { $0.text + "/" }.joined()
        committed.names = outcomes.map { $0.finalName.map { prefix + $0 } ?? "" }
        for entry in index.entries where !entry.isVoid && (entry.kind == .file || entry.kind == .hardLink) {
            committed.files += 1
            committed.bytes += UInt64(entry.size ?? 0)
        }
        return committed
    }

    /// Opens what may be opened and saves the rest to the inbox.
    package func view(_ index: ArchiveIndex, _ staging: Staging) async throws -> Committed {
        let tops = index.entries.indices.filter { index.entries[$0].parent < 0 && !index.entries[$0].isVoid }
        guard tops.count == 1, index.entries[tops[0]].kind == .file else {
            throw TransferError.local(Abort(.policy, "one file at a time can be viewed"))
        }
        let name = index.entries[tops[0]].name.text
        switch try verdict(on: name, in: staging) {
        case .saveOnly(let reason):
            var committed = try deliver(index, staging, to: [])
            committed.reason = reason.description
            return committed
        case .open(let type):
            let folder = try viewFolder()
            let made = Self.viewName(name, type)
            let outcomes = try Publication(destination: folder).publish(index, from: staging) { _ in made }
            guard let final = outcomes.first?.finalName else { throw StagingError.inUse }
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
        return try ViewType.verdict(name: name, size: status.size, mode: status.mode) {
            (span: inout MutableRawSpan, offset: Int64) throws(SystemError) in
            try file.read(into: &span, at: offset)
        }
    }

    private func viewFolder() throws(StagingError) -> Directory {
        do throws(SystemError) {
            return try inbox.directory.openOrMakeDirectory(Self.viewFolderName)
        } catch {
            throw StagingError(error)
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
