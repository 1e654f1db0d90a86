// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors
internal import Synchronization
private import SystemPackage

/// The folder in which one archive takes shape before it gets its final names (`docs/archive-format.md` section 8).
///
/// Safe to use from several threads: each call works on its own descriptors, and the table of folders is locked.
/// Every path is walked from a held folder, component by component, following no symlink. Nothing here has a final
/// name; `Publication` moves what is complete.
package final class Staging: Sendable {
    /// Name of the folder that holds all staging folders of one receiving folder.
    package static let partFolderName = ".rtun-part"

    /// One entry that could not be taken, the others stand.
    package struct Refusal: Sendable {
        package let entry: Int
        package let cause: RejectCause
    }

    private let destination: Directory
    private let home: Directory
    package let name: String
    /// Opened before the first write and held, as the error sequence of `syncfs` demands.
    let folder: Directory
    package let tree: Directory
    let manifest: OwnedDescriptor
    private let journal: OwnedDescriptor
    private let lock: OwnedDescriptor
    private let isOwner: Bool
    private let folders: FolderHandles
    /// From the moment that a plan of publication may be carried out.
    let isPlanned = Atomic(false)
    /// Whether the file system takes names for one that differ in case or normalisation alone.
    package let foldsNames: Bool

    /// Makes the staging folder of a new transfer below `destination`, on the same file system.
    package init(in destination: Directory, name: String) throws(StagingError) {
        self.destination = destination
        self.name = name
        do throws(SystemError) {
            home = try Self.makeHome(in: destination, for: name)
            folder = try home.subdirectory(name)
            lock = try folder.createFile("lock")
            isOwner = try lock.lockExclusively()
            manifest = try folder.createFile("manifest")
            journal = try folder.openForAppending(Journal.fileName)
            try Self.write(Journal.log.header, to: journal)
            foldsNames = Self.foldsNames(in: folder)
            try folder.makeDirectory("tree")
            tree = try folder.subdirectory("tree")
            folders = FolderHandles(root: tree)
        } catch {
            throw StagingError(error)
        }
        guard isOwner else { throw .inUse }
    }

    /// Opens the staging folder of a transfer that nobody runs any more; throws `inUse` where somebody does.
    init(reopening name: String, in destination: Directory) throws(StagingError) {
        self.destination = destination
        self.name = name
        do throws(SystemError) {
            home = try destination.subdirectory(Self.partFolderName)
            folder = try home.subdirectory(name)
            lock = try folder.openFile("lock", writable: true)
            isOwner = try lock.lockExclusively()
            manifest = try folder.openFile("manifest")
            journal = try folder.openForAppending(Journal.fileName)
            tree = try folder.subdirectory("tree")
        } catch {
            throw StagingError(error)
        }
        // Its entries have been told apart.
        foldsNames = false
        folders = FolderHandles(root: tree)
        guard isOwner else { throw .inUse }
    }

    /// Asks the file system under other spellings for a name that was made; false where it cannot be asked.
    private static func foldsNames(in folder: Directory) -> Bool {
        do throws(SystemError) {
            try folder.createFile("\u{E9}").close()
            let (upper, apart) = (try folder.statusIfPresent("\u{C9}"), try folder.statusIfPresent("e\u{301}"))
            try folder.removeFile("\u{E9}")
            return upper != nil || apart != nil
        } catch {
            return false
        }
    }

    /// Another transfer's end may remove the common folder just before this one makes its own in it.
    private static func makeHome(in destination: Directory, for name: String) throws(SystemError) -> Directory {
        for _ in 0..<8 {
            let home = try destination.openOrMakeDirectory(partFolderName)
            do throws(SystemError) {
                try home.makeDirectory(name)
                return home
            } catch {
                guard error.errno == .noSuchFileOrDirectory else { throw error }
            }
        }
        throw SystemError(errno: .noSuchFileOrDirectory, call: "mkdirat", name: name)
    }

    private static func write(_ bytes: [UInt8], to file: borrowing OwnedDescriptor) throws(SystemError) {
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span) }
    }

    // MARK: - Records

    /// Appends the records of a batch to the stored manifest.
    package func keep(records bytes: RawSpan) throws(StagingError) {
        do throws(SystemError) { try manifest.writeAll(bytes) } catch { throw StagingError(error) }
    }

    /// Carries out what records ask for, in order; entries whose names cannot be taken are returned.
    package func perform(_ steps: [StagingStep]) throws(StagingError) -> [Refusal] {
        var refusals: [Refusal] = []
        // What a later step of this batch asks for must not fall on the entry that has the name.
        var refused: Set<Int> = []
        for step in steps where !refused.contains(step.entry) {
            do throws(SystemError) {
                switch step {
                case .makeFolder(let entry, let parent, let name):
                    guard let holder = try folders.handle(of: parent) else {
                        refusals.append(Refusal(entry: entry, cause: .folderRefused))
                        continue
                    }
                    try holder.makeDirectory(name.text)
                    folders.note(entry, parent: parent, name: name.text)
                case .createFile(let entry, let place, let size):
                    guard let holder = try folders.handle(of: place.folder) else {
                        refusals.append(Refusal(entry: entry, cause: .folderRefused))
                        continue
                    }
                    let file = try holder.createFile(place.name.text)
                    if size > 0 { try file.truncate(to: size) }
                    try finishMetadata(of: file, place)
                    try file.close()
                case .setSize(_, let place, let size):
                    guard let holder = try folders.handle(of: place.folder) else { continue }
                    let file = try holder.openFile(place.name.text, writable: true)
                    try file.truncate(to: size)
                    try finishMetadata(of: file, place)
                    try file.close()
                case .discard(_, let place):
                    guard let holder = try folders.handle(of: place.folder) else { continue }
                    if try holder.statusIfPresent(place.name.text) != nil { try holder.removeFile(place.name.text) }
                case .report(let entry, let cause):
                    refusals.append(Refusal(entry: entry, cause: cause))
                }
            } catch {
                guard let cause = RejectCause(error) else { throw StagingError(error) }
                switch step {
                case .makeFolder(let entry, _, _), .createFile(let entry, _, _):
                    refused.insert(entry)
                    refusals.append(Refusal(entry: entry, cause: cause))
                default: throw StagingError(error)
                }
            }
        }
        return refusals
    }

    // MARK: - Chunks

    /// Writes one chunk, sets mode and time, reads it back through the file system and compares its digest.
    ///
    /// Returns a refusal where the file's name cannot be taken. `scratch` is lent for the read-back.
    package func write(
        _ target: ChunkTarget,
        bytes: RawSpan,
        digester: inout Digester,
        scratch: Slab
    ) throws(StagingError) -> Refusal? {
        let readBack: Result<Digest?, CodecError>
        if case .drop = target.role { return nil }
        do throws(SystemError) {
            guard let holder = try folders.handle(of: target.place.folder) else {
                return Refusal(entry: target.entry, cause: .folderRefused)
            }
            let file: OwnedDescriptor
            let offset: Int64
            switch target.role {
            case .drop: return nil
            case .wholeFile:
                offset = 0
                do throws(SystemError) {
                    file = try holder.createFile(target.place.name.text)
                } catch {
                    guard let cause = RejectCause(error) else { throw error }
                    return Refusal(entry: target.entry, cause: cause)
                }
            case .part(let start):
                offset = start
                file = try holder.openFile(target.place.name.text, writable: true)
            }
            try file.writeAll(bytes, at: offset)
            try finishMetadata(of: file, target.place)
            #if canImport(Darwin)
            // There is no syncfs: each file is synced when it is written.
            try file.synchronize()
            #endif
            readBack = try digest(of: file, from: offset, count: bytes.byteCount, &digester, scratch)
            try file.close()
        } catch {
            throw StagingError(error)
        }
        guard case .success(target.digest) = readBack else { throw .integrity(path: target.place.name.text) }
        return nil
    }

    /// Removes what was staged of a file that is kept as it stands.
    package func discard(_ place: FilePlace) throws(StagingError) {
        do throws(SystemError) {
            guard let holder = try folders.handle(of: place.folder) else { return }
            if try holder.statusIfPresent(place.name.text) != nil { try holder.removeFile(place.name.text) }
        } catch {
            throw StagingError(error)
        }
    }

    /// Hands out the stored records again, batch by batch as they came.
    package func readManifest(_ body: (Record) throws(FormatError) -> Void) throws(StagingError) {
        do {
            var offset: Int64 = 0
            let slab = try Slab(capacity: 4 * ArchiveLimits.recordBytes)
            while true {
                let count = try slab.withMutableBytes(0..<slab.capacity) {
                    (span: inout MutableRawSpan) throws(SystemError) in
                    try manifest.read(into: &span, at: offset)
                }
                guard count > 0 else { return }
                // Whole records only; what is cut off is read again from its start.
                let used = try slab.withBytes(0..<count) { (span: RawSpan) throws(FormatError) in
                    try Record.decodeWhole(in: span, body)
                }
                guard used > 0 else { throw FormatError("the stored manifest ends inside a record") }
                offset += Int64(used)
            }
        } catch let error as SystemError {
            throw StagingError(error)
        } catch {
            throw .codec("\(error)")
        }
    }

    /// Says where a folder stands that another process has made.
    func note(folder entry: Int, of index: ArchiveIndex) {
        folders.note(entry, parent: Int(index.entries[entry].parent), name: index.entries[entry].name.text)
    }

    /// The staged folder of an entry, for moving it to its final place; nil where none was made.
    func stagedFolder(of entry: Int) throws(SystemError) -> Directory? {
        try folders.handle(of: entry)
    }

    /// A file of another staging folder that is taken over.
    struct Adoption: Sendable {
        let found: Donor.Found
        /// From the top-level name down.
        let path: String
        let place: FilePlace
        /// Bytes that it shall have, nil for as many as it has.
        let size: Int64?
        /// Records have made an empty file of its name.
        let replacesEmpty: Bool
    }

    /// Whether there is a folder for the file.
    func canHold(_ place: FilePlace) throws(StagingError) -> Bool { try folderHandle(of: place.folder) != nil }

    /// Takes over files of other staging folders, with what their journals say of them.
    ///
    /// All are journalled here before the first moves, with the identities that they had, which will not match: killed in
    /// between, their chunks are hashed again. Behind the moves untouched files are journalled with their new identities.
    func adopt(_ adoptions: [Adoption]) throws(StagingError) {
        guard !adoptions.isEmpty else { return }
        var before: [UInt8] = []
        var after: [UInt8] = []
        for adoption in adoptions {
            let journalled = adoption.found.journalled
            Journal.encode(adoption.path, journalled.identity, journalled.chunks, to: &before)
        }
        do throws(SystemError) {
            try write(journalBatch: before)
            for adoption in adoptions {
                guard let status = try move(adoption), adoption.found.isUntouched else { continue }
                Journal.encode(adoption.path, FileIdentity(status), [:], to: &after)
            }
            if !after.isEmpty { try write(journalBatch: after) }
        } catch {
            throw StagingError(error)
        }
    }

    /// Moves one file and gives it what its place demands; its status behind that.
    private func move(_ adoption: Adoption) throws(SystemError) -> FileStatus? {
        let (found, place) = (adoption.found, adoption.place)
        let name = place.name.text
        guard let holder = try folders.handle(of: place.folder) else { return nil }
        if adoption.replacesEmpty, try holder.statusIfPresent(name) != nil { try holder.removeFile(name) }
        try found.folder.renameWithoutReplacing(found.name, to: name, in: holder)
        if found.status.mode == Self.mode(of: place), found.status.modified == place.modified.clamped,
            adoption.size == nil || adoption.size == found.status.size
        {
            return try holder.status(name)
        }
        let file = try holder.openFile(name, writable: true)
        if let size = adoption.size { try file.truncate(to: size) }
        try file.setMode(Self.mode(of: place))
        try finishMetadata(of: file, place)
        let status = try file.status()
        try file.close()
        return status
    }

    private func write(journalBatch batch: [UInt8]) throws(SystemError) {
        var bytes: [UInt8] = []
        do throws(CodecError) {
            try Journal.log.encode(batch: batch, to: &bytes)
        } catch {
            // Without a digest there is no record; it costs sending again, nothing else.
            return
        }
        try Self.write(bytes, to: journal)
    }

    /// Makes a stretch of an adopted file read as a hole does: only where there are data of before anything is written.
    func clear(_ range: Range<Int64>, of place: FilePlace) throws(StagingError) {
        do throws(SystemError) {
            guard let holder = try folders.handle(of: place.folder) else { return }
            let file = try holder.openFile(place.name.text, writable: true)
            let zeros = [UInt8](repeating: 0, count: 64 << 10)
            var position = range.lowerBound
            while let data = try file.nextData(from: position), data < range.upperBound {
                let end = min(try file.nextHole(from: data) ?? range.upperBound, range.upperBound)
                position = data
                while position < end {
                    let count = Int(min(Int64(zeros.count), end - position))
                    try zeros.withSpan { (span: RawSpan) throws(SystemError) in
                        try file.writeAll(span.extracting(0..<count), at: position)
                    }
                    position += Int64(count)
                }
            }
            try finishMetadata(of: file, place)
            try file.close()
        } catch {
            throw StagingError(error)
        }
    }

    /// Digest of a chunk as it stands in staging; nil where it cannot be read.
    func digest(of target: ChunkTarget, slab: Slab, digester: inout Digester) throws(StagingError) -> Digest? {
        do throws(SystemError) {
            guard let holder = try folders.handle(of: target.place.folder) else { return nil }
            let file = try holder.openFile(target.place.name.text)
            let result = try digest(
                of: file,
                from: target.offset,
                count: target.length,
                &digester,
                slab
            )
            guard case .success(let digest) = result else { return nil }
            return digest
        } catch {
            throw StagingError(error)
        }
    }

    /// Records chunks whose bytes a sync has just covered, and syncs the record: then they may be acknowledged.
    package func journal(_ chunks: [(path: String, targets: [ChunkTarget])]) throws(StagingError) {
        var batch: [UInt8] = []
        do throws(SystemError) {
            for (path, targets) in chunks {
                guard let place = targets.first?.place, let holder = try folders.handle(of: place.folder),
                    let status = try holder.statusIfPresent(place.name.text)
                else { continue }
                var written: [Int64: Journal.Chunk] = [:]
                for target in targets {
                    written[target.offset] = Journal.Chunk(length: target.length, digest: target.digest)
                }
                Journal.encode(path, FileIdentity(status), written, to: &batch)
            }
            guard !batch.isEmpty else { return }
            try write(journalBatch: batch)
            try journal.synchronize()
        } catch {
            throw StagingError(error)
        }
    }

    /// Makes everything written so far durable: the order before an acknowledgement.
    ///
    /// An error drops the whole window; it is never retried to success, since the kernel forgets what it lost.
    package func synchronize() throws(StagingError) {
        do throws(SystemError) {
            try folder.descriptor.synchronizeFileSystem()
        } catch {
            throw StagingError(error)
        }
    }

    // MARK: - The end

    /// Makes hard links and symlinks and gives folders their mode and time; entries not taken are returned.
    package func finish(_ index: ArchiveIndex) throws(StagingError) -> [Refusal] {
        var refusals: [Refusal] = []
        func attempt(_ entry: Int, _ body: (Directory) throws(SystemError) -> Void) throws(StagingError) {
            do throws(SystemError) {
                guard let holder = try folders.handle(of: Int(index.entries[entry].parent)) else {
                    refusals.append(Refusal(entry: entry, cause: .folderRefused))
                    return
                }
                try body(holder)
            } catch {
                guard let cause = RejectCause(error) else { throw StagingError(error) }
                refusals.append(Refusal(entry: entry, cause: cause))
            }
        }
        for (entry, target) in index.hardLinks.sorted(by: { $0.key < $1.key }) where !index.entries[entry].isVoid {
            // A link to a file that was kept is made when that file's folder is known.
            if index.entries[target].isKept { continue }
            let file = index.place(of: target)
            guard !index.entries[target].isVoid, let source = try folderHandle(of: file.folder) else {
                refusals.append(Refusal(entry: entry, cause: .folderRefused))
                continue
            }
            try attempt(entry) { holder throws(SystemError) in
                try holder.makeLink(index.entries[entry].name.text, to: file.name.text, in: source)
            }
        }
        for (entry, target) in index.symlinkTargets.sorted(by: { $0.key < $1.key }) where !index.entries[entry].isVoid {
            try attempt(entry) { holder throws(SystemError) in
                try holder.makeSymlink(index.entries[entry].name.text, target: target)
                try holder.setModified(index.entries[entry].modified.clamped, of: index.entries[entry].name.text)
            }
        }
        // Children before parents: what is made in a folder moves its time.
        for entry in index.entries.indices.reversed()
        where index.entries[entry].kind == .folder && !index.entries[entry].isVoid {
            try attempt(entry) { holder throws(SystemError) in
                let made = try holder.subdirectory(index.entries[entry].name.text)
                try made.setMode(0o700 | (UInt32(index.entries[entry].mode) & 0o755))
                try made.setModified(index.entries[entry].modified.clamped)
            }
        }
        return refusals
    }

    /// Gives up the lock: another transfer may take what stands here.
    ///
    /// Nothing may be written any more.
    package func letGo() {
        folders.close()
        // Without the call the lock ends with this object.
        try? lock.unlock()
    }

    /// Removes the staging folder of a transfer that failed, unless its publication has been planned: that goes on.
    package func discard() throws(StagingError) {
        if !isPlanned.load(ordering: .acquiring) { try remove() }
    }

    /// Removes the staging folder with all that is in it.
    package func remove() throws(StagingError) {
        folders.close()
        do throws(SystemError) {
            try Self.removeAtOnce(name, in: home)
        } catch {
            throw StagingError(error)
        }
        // The common folder goes with its last transfer; another one may just have begun, so failure is fine.
        do throws(SystemError) { try destination.removeDirectory(Self.partFolderName) } catch {}
    }

    // MARK: - Folders and files

    private func folderHandle(of entry: Int) throws(StagingError) -> Directory? {
        do throws(SystemError) { return try folders.handle(of: entry) } catch { throw StagingError(error) }
    }

    private static func mode(of place: FilePlace) -> UInt32 { 0o600 | (place.mode & 0o755) }

    /// Mode and time, set before the read-back so that the sync that follows covers them.
    private func finishMetadata(of file: borrowing OwnedDescriptor, _ place: FilePlace) throws(SystemError) {
        let mode = Self.mode(of: place)
        if mode != 0o600 { try file.setMode(mode) }
        try file.setModified(place.modified.clamped)
    }

    /// Digest of bytes as the file system gives them back; nil inside where the file ends before them.
    private func digest(
        of file: borrowing OwnedDescriptor,
        from offset: Int64,
        count: Int,
        _ digester: inout Digester,
        _ scratch: Slab
    ) throws(SystemError) -> Result<Digest?, CodecError> {
        var done = 0
        while done < count {
            let want = min(scratch.capacity, count - done)
            let got = try scratch.withMutableBytes(0..<want) { (span: inout MutableRawSpan) throws(SystemError) in
                try file.read(into: &span, at: offset + Int64(done))
            }
            guard got > 0 else { return .success(nil) }
            do throws(CodecError) {
                try scratch.withBytes(0..<got) { (bytes: RawSpan) throws(CodecError) in try digester.update(bytes) }
            } catch {
                return .failure(error)
            }
            done += got
        }
        do throws(CodecError) { return .success(try digester.finish()) } catch { return .failure(error) }
    }
}

extension Timestamp {
    /// Within [1970, now + 1 day], as `docs/archive-format.md` section 5 has it.
    var clamped: Timestamp {
        let ceiling = Timestamp(seconds: Timestamp.now().seconds + 86_400, nanoseconds: 0)
        return min(max(self, Timestamp(seconds: 0, nanoseconds: 0)), ceiling)
    }
}
