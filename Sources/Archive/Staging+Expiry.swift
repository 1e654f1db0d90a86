// SPDX-License-Identifier: MIT

package import Descriptors

/// What is left of transfers that ended, and when it goes.
extension Staging {
    /// What a staging folder is called while it is being removed: whatever finds it goes on removing it.
    private static let goneEnding = ".gone"

    /// What a staging folder is called that must not be used again; it expires like the others.
    private static let asideEnding = ".aside"

    /// Whether a name in the common folder is that of a staging folder that may be used again.
    static func isStagingName(_ name: String) -> Bool { !name.hasSuffix(goneEnding) && !name.hasSuffix(asideEnding) }

    /// Keeps the staging folders of a transfer from being used again.
    package static func setAside(in destination: Directory, containing part: String) {
        guard let home = try? destination.subdirectory(partFolderName), let entries = try? home.entries() else {
            return
        }
        for entry in entries {
            guard let name = String(validating: entry.name, as: UTF8.self), isStagingName(name), name.contains(part)
            else { continue }
            // One that cannot be renamed may be used once more.
            try? home.renameWithoutReplacing(name, to: name + asideEnding, in: home)
        }
    }

    /// Removes a staging folder with all that is in it, in one step for whoever looks for it.
    static func removeAtOnce(_ name: String, in home: Directory) throws(SystemError) {
        let gone = name + goneEnding
        try home.renameWithoutReplacing(name, to: gone, in: home)
        try home.removeTree(gone)
    }

    /// Removes what is left of removed staging folders, and those whose lock nobody holds and whose journal has not
    /// changed for `age` seconds; one whose publication is planned stays until that is done.
    package static func removeAbandoned(in destination: Directory, olderThan age: Int64) {
        guard let home = try? destination.subdirectory(partFolderName), let entries = try? home.entries() else {
            return
        }
        let oldest = Timestamp.now().seconds - age
        for entry in entries {
            guard let name = String(validating: entry.name, as: UTF8.self) else { continue }
            if name.hasSuffix(goneEnding) {
                if isUnlocked(name, in: home) { try? home.removeTree(name) }
            } else if isAbandoned(name, in: home, since: oldest) {
                try? removeAtOnce(name, in: home)
            }
        }
        try? destination.removeDirectory(partFolderName)
    }

    private static func isUnlocked(_ name: String, in home: Directory) -> Bool {
        do throws(SystemError) {
            let folder = try home.subdirectory(name)
            guard try folder.statusIfPresent("lock") != nil else { return true }
            return try folder.openFile("lock", writable: true).lockExclusively()
        } catch {
            return false
        }
    }

    private static func isAbandoned(_ name: String, in home: Directory, since oldest: Int64) -> Bool {
        do throws(SystemError) {
            let folder = try home.subdirectory(name)
            // One that has no lock or no tree was left while it was being made.
            guard try folder.statusIfPresent("lock") != nil else { return true }
            guard try folder.statusIfPresent("tree") != nil else { return isUnlocked(name, in: home) }
            guard try !PublicationPlan.isSettled(in: folder)
            else { return false }
            if let status = try folder.statusIfPresent(Journal.fileName), status.modified.seconds > oldest {
                return false
            }
            return try folder.openFile("lock", writable: true).lockExclusively()
        } catch {
            return false
        }
    }
}
