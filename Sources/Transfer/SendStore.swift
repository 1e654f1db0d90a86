// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
private import SystemPackage

/// The sends that this home remembers, `~/.rtun/sends/` (`docs/archive-format.md` section 10).
///
/// Several processes on several hosts may use it at once; nothing is locked.
package struct SendStore: Sendable {
    private static let folderName = "sends"
    /// Folders that stay, whatever their age below `lifetime`.
    static let kept = 64
    /// Seconds without use after which a folder goes.
    static let lifetime: Int64 = 90 * 86_400
    /// Seconds after which an unfinished send beyond `kept` counts as left.
    static let idleTime: Int64 = 86_400
    private static let gonePrefix = ".gone-"

    private let home: Directory

    /// Opens the store, making it if it is missing; throws where the home cannot be written.
    package init(in state: StateFolder) throws(SystemError) {
        home = try state.directory.openOrMakeDirectory(Self.folderName)
    }

    /// The store where there is one, without making it.
    package static func existing(in state: StateFolder) throws(SystemError) -> SendStore? {
        try state.directory.statusIfPresent(folderName) == nil ? nil : SendStore(in: state)
    }

    /// The folder of a send that begins or goes on, marked unfinished.
    package func open(_ request: SendRequest, inbox: [UInt8], laptop: String) throws -> SendFolder {
        let id = try request.identifier(inbox: inbox)
        var fields = Fields()
        fields.set(1, bytes: request.encoded)
        fields.set(2, bytes: inbox)
        fields.set(3, text: laptop.cut(toBytes: 64))
        let contents = try SendFolder.requestFile.encode(fields)
        for _ in 0..<8 {
            let isNew = try home.statusIfPresent(id) == nil
            let now = UInt64(max(0, Timestamp.now().seconds))
            let folder: SendFolder
            do {
                let directory = try home.openOrMakeDirectory(id)
                if try directory.readSmallFile(SendFolder.requestName, atMost: contents.count) != contents {
                    try directory.replaceSmallFile(SendFolder.requestName, contents, synced: false)
                }
                let began = RememberedSend.progress(in: directory)
                folder = SendFolder(id: id, directory: directory, began: began?.began ?? now)
                try folder.note(durable: began?.durable ?? 0, renewal: .random(in: 0 ... .max))
                // It may have been collected between opening and marking.
                guard let standing = try home.statusIfPresent(id), try directory.status().isSameFile(as: standing)
                else { continue }
            } catch let error as SystemError where error.isMissingFile {
                // Collected while it was written to: nothing can be made in a folder that is gone.
                continue
            }
            if isNew { collect(keeping: id, now: Int64(now)) }
            return folder
        }
        throw SystemError(errno: .staleNFSFileHandle, call: "openat", name: id, action: "keep the send")
    }

    /// Everything that can be read, the latest first; one request is held in memory at a time but for the result.
    package func list() throws(SystemError) -> [RememberedSend] {
        var sends: [RememberedSend] = []
        for id in try identifiers() {
            guard let directory = try? home.subdirectory(id), let send = RememberedSend(id: id, in: directory) else {
                continue
            }
            sends.append(send)
        }
        return sends.sorted { $0.changed > $1.changed }
    }

    /// A file without a name, mode 0600, for what is kept of standard input: it goes with the process, however that ends.
    package func makeSpool() throws(SystemError) -> OwnedDescriptor {
        // The name is one that `sweep` removes, should the process die before the next line.
        let name = goneName("spool")
        let file = try home.createFile(name)
        try home.removeFile(name)
        return file
    }

    /// Removes a send from this home; false where it is not known.
    @discardableResult
    package func forget(_ id: String) throws(SystemError) -> Bool {
        guard Self.isIdentifier(id), try home.statusIfPresent(id) != nil else { return false }
        let gone = goneName(id)
        try home.rename(id, to: gone, in: home)
        try home.removeTree(gone)
        return true
    }

    // MARK: - Collecting

    /// Removes what is old, and beyond the newest what nobody uses.
    ///
    /// `now` in seconds since 1970.
    func collect(keeping id: String, now: Int64) {
        var found: [(id: String, status: FileStatus)] = []
        for other in (try? identifiers()) ?? [] where other != id {
            if let status = try? home.status(other) { found.append((other, status)) }
        }
        found.sort { $0.status.modified > $1.status.modified }
        for (rank, entry) in found.enumerated() {
            let age = now - entry.status.modified.seconds
            let isOld = age > Self.lifetime
            guard isOld || rank + 1 >= Self.kept else { continue }
            if !isOld, age <= Self.idleTime, isUnfinished(entry.id) { continue }
            discard(entry.id, asSeen: entry.status)
        }
        sweep(now: now)
    }

    private func isUnfinished(_ id: String) -> Bool {
        guard let directory = try? home.subdirectory(id) else { return false }
        return (try? directory.statusIfPresent(SendFolder.markerName)) != nil
    }

    /// Takes the name away first: who opens the folder meanwhile notices, and what came into use gets it back.
    private func discard(_ id: String, asSeen seen: FileStatus) {
        let gone = goneName(id)
        do throws(SystemError) {
            try home.rename(id, to: gone, in: home)
            let status = try home.status(gone)
            if status.modified != seen.modified {
                do throws(SystemError) { return try home.renameWithoutReplacing(gone, to: id, in: home) } catch {
                    // Its user has made a new one by now.
                }
            }
            try home.removeTree(gone)
        } catch {
            // Somebody else collects, or the home cannot be written: the next send tries again.
        }
    }

    /// Removes what a collector that died has left.
    private func sweep(now: Int64) {
        for name in (try? home.names()) ?? [] where name.starts(with: Self.gonePrefix.utf8) {
            let text = String(decoding: name, as: UTF8.self)
            guard let status = try? home.status(text), now - status.changed.seconds > 3_600 else { continue }
            try? home.removeTree(text)
        }
    }

    private func goneName(_ id: String) -> String {
        Self.gonePrefix + id + "-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    private func identifiers() throws(SystemError) -> [String] {
        try home.names().compactMap { name in
            guard let text = String(validating: name, as: UTF8.self), Self.isIdentifier(text) else { return nil }
            return text
        }
    }

    private static func isIdentifier(_ text: String) -> Bool {
        text.utf8.count == 16
            && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (97...102).contains($0) }
    }
}
