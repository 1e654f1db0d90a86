// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors

/// `--files-from`: names of more sources, one a line, or each followed by NUL.
struct SourceList {
    /// Bytes of a list.
    private static let byteLimit = 16 << 20

    let paths: [String]

    /// Reads a file, or standard input where it is `-`; empty names are left out.
    init(_ path: String, nulSeparated: Bool) throws {
        let bytes = path == "-" ? try Self.read(OwnedDescriptor(adopting: 0)) : try Self.read(Self.file(path))
        guard let bytes else { throw ValidationError("\(safe(path)) is longer than 16 MiB") }
        paths = try bytes.split(separator: nulSeparated ? 0 : UInt8(ascii: "\n")).map { name in
            guard let text = String(validating: name, as: UTF8.self) else {
                throw ValidationError("\(safe(path)) holds a name that is not valid UTF-8")
            }
            return text
        }
    }

    private static func file(_ path: String) throws -> OwnedDescriptor {
        let slash = path.lastIndex(of: "/")
        let folder = try Directory.open(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".")
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        return try folder.openFile(name, followingLink: true)
    }

    /// Everything up to the end; nil where that is too much.
    private static func read(_ file: borrowing OwnedDescriptor) throws -> [UInt8]? {
        let slab = try Slab(capacity: 64 << 10)
        var bytes: [UInt8] = []
        while true {
            // What a shell makes of <(…) opens at once and may have nothing yet.
            _ = try file.waitUntilReadable(milliseconds: -1)
            let count = try slab.withMutableBytes(0..<slab.capacity) {
                (span: inout MutableRawSpan) throws(SystemError) in try file.readSome(into: &span)
            }
            if count == 0 { return bytes }
            bytes += slab.withBytes(0..<count) { $0.copy }
            guard bytes.count <= byteLimit else { return nil }
        }
    }
}
