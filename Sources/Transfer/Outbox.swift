// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
private import SystemPackage

/// Sends that wait for a laptop, `~/.rtun/outbox/` (`docs/archive-format.md` section 10).
///
/// Several processes on several hosts may use it at once. Nothing is locked and no folder is held open: an item belongs
/// to whoever renamed it, and each operation finds its folder by path again, which a network file system that lost its
/// handles survives.
package struct Outbox: Sendable {
    static let claimedName = "claimed"
    static let doneName = "done"
    private static let folderName = "outbox"
    private static let draftPrefix = ".draft."
    /// Results that are kept.
    static let keptResults = 100
    /// Seconds within which a claim was certainly renewed, where file server and host agree about the time.
    private static let freshness: Int64 = 90

    /// Absolute, or relative to the working folder as `RTUN_DIR` is.
    let path: String

    /// Opens the outbox, making it if it is missing; throws where the home cannot be written.
    package init(in state: StateFolder) throws(SystemError) {
        path = state.path + "/" + Self.folderName
        let folder = try state.directory.openOrMakeDirectory(Self.folderName)
        _ = try folder.openOrMakeDirectory(Self.claimedName)
        _ = try folder.openOrMakeDirectory(Self.doneName)
    }

    /// The outbox where there is one, without making it.
    package static func existing(in state: StateFolder) throws(SystemError) -> Outbox? {
        try state.directory.statusIfPresent(folderName) == nil ? nil : Outbox(in: state)
    }

    /// Whether a flush is worth starting: something waits, or a claim was left, and nobody seems to be at it.
    ///
    /// Lists two folders, and none where there never was an outbox. A wrong answer, as clocks may cause, costs a
    /// process or a delay, nothing more.
    package static func needsFlush(in state: StateFolder) -> Bool {
        guard let folder = try? state.directory.subdirectory(folderName), let names = try? folder.names(),
            let claimed = try? folder.subdirectory(claimedName), let claims = try? claimed.names()
        else { return false }
        guard !claims.isEmpty || names.contains(where: { isItem(String(decoding: $0, as: UTF8.self)) }) else {
            return false
        }
        let now = Timestamp.now().seconds
        return !claims.contains { name in
            guard let status = try? claimed.status(String(decoding: name, as: UTF8.self)) else { return false }
            return abs(now - status.modified.seconds) < freshness
        }
    }

    // MARK: - Items

    /// Puts an item behind all others, durably, and returns its id.
    package func add(_ item: OutboxItem) throws -> String {
        let folder = try open()
        let contents = try item.encode()
        guard contents.count <= OutboxItem.file.limit, OutboxItem(contents) != nil else {
            throw SystemError(errno: .fileTooLarge, call: "write", action: "queue names so long or so many")
        }
        sweep(folder)
        let draft = Self.draftPrefix + Self.random()
        try folder.replaceSmallFile(draft, contents, synced: true)
        while true {
            let now = Timestamp.now()
            let time = UInt64(max(0, now.seconds)) * 1_000_000_000 + UInt64(now.nanoseconds)
            let last = try (waiting() + claims().map { $0.item }).compactMap(Self.time(of:)).max() ?? 0
            let id = Self.hex(max(time, last + 1)) + "-" + Self.hex(UInt64.random(in: .min ... .max)).suffix(8)
            do throws(SystemError) {
                try folder.renameWithoutReplacing(draft, to: id, in: folder)
                try folder.synchronize()
                return id
            } catch {
                guard error.errno == .fileExists else { throw error }
            }
        }
    }

    /// Ids of the items that wait, in the order of delivery.
    package func waiting() throws(SystemError) -> [String] {
        try open().names().map { String(decoding: $0, as: UTF8.self) }.filter(Self.isItem).sorted()
    }

    /// What is claimed, by whomever, in the order of delivery.
    package func claims() throws(SystemError) -> [ClaimSighting] {
        let folder = try open(Self.claimedName)
        var claims: [ClaimSighting] = []
        for name in try folder.names() {
            let text = String(decoding: name, as: UTF8.self)
            // One that is gone by now is no claim any more.
            guard let status = try folder.statusIfPresent(text), let claim = ClaimSighting(name: text, status) else {
                continue
            }
            claims.append(claim)
        }
        return claims.sorted { $0.name < $1.name }
    }

    /// Takes an item that waits; nil where somebody else was quicker.
    package func claim(_ id: String) throws -> OutboxClaim? {
        try take(id, from: try open(), as: id)
    }

    /// Takes over a claim that its holder has left; nil where it has gone on by now.
    package func takeOver(_ claim: ClaimSighting) throws -> OutboxClaim? {
        try take(claim.name, from: try open(Self.claimedName), as: claim.item)
    }

    /// Removes an item that waits, or a result; false where there is neither.
    package func drop(_ id: String) throws(SystemError) -> Bool {
        for folder in [try open(), try open(Self.doneName)] where Self.isItem(id) {
            guard try folder.statusIfPresent(id) != nil else { continue }
            try folder.removeFile(id)
            return true
        }
        return false
    }

    /// Removes drafts of processes that died while they queued.
    private func sweep(_ folder: Directory) {
        let oldest = Timestamp.now().seconds - 86_400
        for name in (try? folder.names()) ?? [] where name.starts(with: Self.draftPrefix.utf8) {
            let text = String(decoding: name, as: UTF8.self)
            if let status = try? folder.status(text), status.changed.seconds < oldest { try? folder.removeFile(text) }
        }
    }

    /// Renaming is the claim: of all who try, one succeeds.
    private func take(_ name: String, from folder: Directory, as id: String) throws -> OutboxClaim? {
        let claimed = try open(Self.claimedName)
        let own = "\(id).\(Self.hostName()).\(Self.random())"
        do throws(SystemError) {
            try folder.rename(name, to: own, in: claimed)
        } catch {
            guard error.isMissingFile else { throw error }
            // A rename that a file server has carried out and been asked for again says that nothing is there.
            guard try claimed.statusIfPresent(own) != nil else { return nil }
        }
        try claimed.setModified(.now(), of: own)
        if try open(Self.doneName).statusIfPresent(id) != nil {
            try claimed.removeFile(own)
            return nil
        }
        guard let bytes = try claimed.readSmallFile(own, atMost: OutboxItem.file.limit), let item = OutboxItem(bytes)
        else {
            return OutboxClaim(id: id, name: own, item: nil, outbox: self)
        }
        return OutboxClaim(id: id, name: own, item: item, outbox: self)
    }

    /// Opens the outbox, or a folder in it, by path.
    func open(_ name: String? = nil) throws(SystemError) -> Directory {
        let folder = try Directory.open(path, followingLinks: false)
        return if let name { try folder.subdirectory(name) } else { folder }
    }

    // MARK: - Names

    static func isItem(_ name: String) -> Bool {
        name.utf8.count == 25 && Self.time(of: name) != nil
    }

    private static func time(of name: String) -> UInt64? {
        guard let dash = name.firstIndex(of: "-"), name[..<dash].utf8.count == 16 else { return nil }
        return UInt64(name[..<dash], radix: 16)
    }

    /// This host's name as a part of a claim's name.
    private static func hostName() -> String {
        let name = (try? ProcessContext.hostName()) ?? ""
        let plain = name.unicodeScalars.prefix(100).map { scalar -> Character in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", ".": Character(scalar)
            default: "_"
            }
        }
        return plain.isEmpty ? "host" : String(plain)
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func random() -> String { hex(.random(in: .min ... .max)) }
}
