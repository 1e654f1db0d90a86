// SPDX-License-Identifier: MIT

private import Archive
import Descriptors
private import SystemPackage

/// The labels that this laptop has given, one a line in `labels` beside the sockets, so that a restart knows them.
struct LabelBook: Sendable {
    /// How many hosts there can be.
    static let limit = 256

    private static let fileName = "labels"
    private let folder: Directory

    init(in folder: Directory) {
        self.folder = folder
    }

    /// The labels as they stand; lines that are no label are passed over.
    func labels() throws -> [HostLabel] {
        guard let bytes = try folder.readSmallFile(Self.fileName, atMost: Self.limit * 64) else { return [] }
        let lines = bytes.split(separator: UInt8(ascii: "\n")).prefix(Self.limit)
        return lines.compactMap { HostLabel(String(decoding: $0, as: UTF8.self)) }
    }

    /// Replaces the list: written beside, synced, renamed.
    func write(_ labels: [HostLabel]) throws {
        let draft = ".\(Self.fileName).draft"
        if try folder.statusIfPresent(draft) != nil { try folder.removeFile(draft) }
        let file = try folder.createFile(draft)
        let text = labels.map { $0.text + "\n" }.joined()
        try Array(text.utf8).withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span) }
        try file.synchronize()
        try file.close()
        try folder.rename(draft, to: Self.fileName, in: folder)
        try folder.synchronize()
    }
}
