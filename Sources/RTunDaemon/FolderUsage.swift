// SPDX-License-Identifier: MIT

private import Archive
import Descriptors
private import SystemPackage

/// Counts the bytes that a folder holds.
enum FolderUsage {
    /// Bytes of data in all files below the folder: holes do not count, a file of several names counts once.
    ///
    /// Staging folders for which `isLeftOut` is true do not count. What vanishes meanwhile does not either.
    static func bytes(of folder: Directory, leavingOut isLeftOut: (String) -> Bool) throws(SystemError) -> UInt64 {
        var total: UInt64 = 0
        var linked: Set<UInt64> = []
        var waiting = [(folder: folder, isStaging: false)]
        while let next = waiting.popLast() {
            for entry in try next.folder.entries() {
                guard let name = String(validating: entry.name, as: UTF8.self) else { continue }
                if next.isStaging, isLeftOut(name) { continue }
                do throws(SystemError) {
                    let status = try next.folder.status(name)
                    switch status.kind {
                    case .directory:
                        let isStaging = name == Staging.partFolderName
                        waiting.append((try next.folder.subdirectory(name), isStaging))
                    case .file:
                        if status.linkCount > 1, !linked.insert(status.inode).inserted { continue }
                        total += UInt64(max(0, min(status.size, status.allocatedBlocks * 512)))
                    default: break
                    }
                } catch {
                    guard error.errno == .noSuchFileOrDirectory || error.errno == .permissionDenied else { throw error }
                }
            }
        }
        return total
    }
}
