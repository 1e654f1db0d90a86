// SPDX-License-Identifier: MIT

package import Descriptors
internal import Synchronization

/// The plan of publication in a staging folder: written by the transfer, carried out by it or by whoever finds it.
extension Staging {
    func beginPlan(_ head: PublicationHead, _ index: ArchiveIndex) throws(StagingError) -> PublicationPlan.Writer {
        do throws(SystemError) {
            return try PublicationPlan.Writer(in: folder, head, index)
        } catch {
            throw StagingError(error)
        }
    }

    /// Makes the plan and the records that it speaks of durable.
    func finishPlan(_ writer: PublicationPlan.Writer) throws(StagingError) {
        do throws(SystemError) {
            try manifest.synchronizeFully()
            // Whatever happens from here on, the plan may be found.
            isPlanned.store(true, ordering: .releasing)
            try writer.finish()
        } catch {
            throw StagingError(error)
        }
    }

    func readPlan() throws(SystemError) -> PublicationPlan? { try PublicationPlan(in: folder) }

    /// A transfer whose publication was cut short.
    package struct Interrupted: Sendable {
        package let staging: Staging
        package let index: ArchiveIndex
        package let head: PublicationHead
    }

    /// Staging folders below `destination` with a plan that nobody carries out, whose names begin with `prefix`.
    ///
    /// Locked from now on. `failed` is told of those that cannot be read, which stay as they are.
    package static func interrupted(
        in destination: Directory,
        prefix: String = "",
        failed: (String, StagingError) -> Void
    ) -> [Interrupted] {
        guard let home = try? destination.subdirectory(partFolderName), let entries = try? home.entries() else {
            return []
        }
        var found: [Interrupted] = []
        for entry in entries {
            guard let name = String(validating: entry.name, as: UTF8.self), name.hasPrefix(prefix),
                isStagingName(name)
            else { continue }
            do throws(StagingError) {
                if let interrupted = try interrupted(name, in: destination, home) { found.append(interrupted) }
            } catch {
                guard case .inUse = error else {
                    failed(name, error)
                    continue
                }
            }
        }
        return found
    }

    private static func interrupted(
        _ name: String,
        in destination: Directory,
        _ home: Directory
    ) throws(StagingError) -> Interrupted? {
        let plan: PublicationPlan?
        do throws(SystemError) { plan = try PublicationPlan(in: home.subdirectory(name)) } catch {
            // It went meanwhile, or is none.
            if error.meansMoved { return nil }
            throw StagingError(error)
        }
        guard let plan else { return nil }
        let staging = try Staging(reopening: name, in: destination)
        staging.isPlanned.store(true, ordering: .releasing)
        // A sync that the writer was killed in may not have covered what the plan speaks of.
        try staging.synchronize()
        let index = try staging.rebuiltIndex(plan)
        return Interrupted(staging: staging, index: index, head: plan.head)
    }

    /// The entries as they were when the plan was written.
    private func rebuiltIndex(_ plan: PublicationPlan) throws(StagingError) -> ArchiveIndex {
        var index = ArchiveIndex()
        try readManifest { record throws(FormatError) in
            let listed = index.listedChunks
            _ = try index.apply(record)
            if index.listedChunks > listed { index.satisfy([listed...(index.listedChunks - 1)]) }
        }
        for entry in plan.void.joined() where entry < index.entries.count { index.refuse(entry) }
        for entry in plan.kept.joined() where entry < index.entries.count { index.keep(entry) }
        // Void ones were never made: their names lead nowhere.
        for entry in index.entries.indices where index.entries[entry].kind == .folder && !index.entries[entry].isVoid {
            note(folder: entry, of: index)
        }
        return index
    }
}
