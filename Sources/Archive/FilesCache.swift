// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// What earlier attempts of a send have read, so that it need not be read again (`docs/archive-format.md` section 10).
///
/// Every attempt writes a log of its own in walk order, and the walk asks in the same order: memory is that of one
/// batch a log, whatever the size of the tree. Asked by one thread at a time.
// Unchecked: made by one task and handed to the planner, which alone asks it, one call after the other.
package final class FilesCache: @unchecked Sendable {
    static let log = CheckedLog(magic: "RTUNFILE", version: 1)
    private static let prefix = "files."
    /// Logs that are looked into; attempts that read less than these add nothing.
    private static let logLimit = 3

    private let logs: [FilesCacheLog]

    /// Opens what the folder of a send holds; what cannot be read counts as nothing.
    package init(in folder: Directory) {
        var found = Self.numbers(in: folder).compactMap { number -> (number: UInt64, size: Int64)? in
            guard let status = try? folder.status(Self.name(number)), status.kind == .file else { return nil }
            return (number, status.size)
        }
        // The longest have got farthest; of those the newest is asked first.
        found.sort { $0.size > $1.size }
        logs = found.prefix(Self.logLimit).sorted { $0.number > $1.number }.compactMap {
            guard let file = try? folder.openFile(Self.name($0.number)) else { return nil }
            return FilesCacheLog(reading: file)
        }
    }

    /// What may be believed of a file that is as `identity` says; keys must not descend from call to call.
    ///
    /// Without items where nothing may be: then it tells at least since when the file has been as it is.
    func reading(of key: FileKey, _ identity: FileIdentity) -> FileReading? {
        var best: FileReading?
        for log in logs {
            guard let found = log.reading(of: key), found.identity == identity else { continue }
            guard var known = best else {
                best = found
                continue
            }
            let seen = min(known.seen, found.seen)
            if found.length > known.length { known = found }
            known.seen = seen
            best = known
        }
        return best
    }

    /// Numbers of the logs in the folder of a send.
    static func numbers(in folder: Directory) -> [UInt64] {
        guard let names = try? folder.names() else { return [] }
        return names.compactMap { name in
            let text = String(decoding: name, as: UTF8.self)
            return text.hasPrefix(prefix) ? UInt64(text.dropFirst(prefix.count)) : nil
        }
    }

    static func name(_ number: UInt64) -> String { prefix + String(number) }
}

/// One log of a files cache, read once from its start.
private final class FilesCacheLog {
    private var log: LogReader
    private var stretches: ArraySlice<FileStretch> = []
    private var current: (key: FileKey, reading: FileReading)?

    init?(reading file: consuming OwnedDescriptor) {
        guard let log = try? LogReader(RecordFile(file), as: FilesCache.log) else { return nil }
        self.log = log
        current = gather()
    }

    func reading(of key: FileKey) -> FileReading? {
        while let found = current, found.key < key { current = gather() }
        guard let found = current, found.key == key else { return nil }
        return found.reading
    }

    /// All stretches of the next file.
    private func gather() -> (key: FileKey, reading: FileReading)? {
        guard let first = next() else { return nil }
        var reading = FileReading(first)
        while let stretch = peek(), stretch.key == first.key {
            _ = next()
            if stretch.identity == reading.identity, stretch.offset > 0 {
                reading.append(stretch)
            } else {
                reading = FileReading(stretch)
            }
        }
        return (first.key, reading)
    }

    private func next() -> FileStretch? {
        guard peek() != nil else { return nil }
        return stretches.popFirst()
    }

    private func peek() -> FileStretch? {
        while stretches.isEmpty {
            guard let batch = try? log.next() else { return nil }
            stretches = batch.records.withSpan { span in
                var found: [FileStretch] = []
                var reader = ByteReader(span)
                while !reader.isAtEnd, let stretch = try? FileStretch(from: &reader) { found.append(stretch) }
                return found[...]
            }
        }
        return stretches.first
    }
}

extension FileReading {
    fileprivate init(_ stretch: FileStretch) {
        self.init(identity: stretch.identity, seen: stretch.seen)
        append(stretch)
    }

    /// Adds what may be believed: from the first such stretch on, what follows it without a gap.
    fileprivate mutating func append(_ stretch: FileStretch) {
        guard stretch.isSettled, !isComplete else { return }
        if items.isEmpty {
            offset = stretch.offset
            end = offset
        }
        guard stretch.offset == end else { return }
        items.append(contentsOf: stretch.items)
        end += stretch.items.reduce(0) { $0 + $1.length }
        isComplete = stretch.isLast
    }
}
