// SPDX-License-Identifier: MIT

internal import CDescriptors

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// One name of a listing.
package struct DirectoryEntry: Sendable, Hashable {
    /// The bytes of the name, which need not be valid UTF-8.
    package let name: [UInt8]

    /// What the listing said it is; `unknown` where the file system does not tell, and never more than a hint.
    package let kind: FileKind
}

extension Directory {
    /// Every name in this folder but `.` and `..`, as raw bytes, in the order of the file system (`readdir`).
    package func names() throws(SystemError) -> [[UInt8]] {
        try entries().map { $0.name }
    }

    /// Every name in this folder but `.` and `..`, with the kind where the listing tells it, in one pass.
    package func entries() throws(SystemError) -> [DirectoryEntry] {
        try Self.entries(of: descriptor.rawValue)
    }

    /// As `entries()`, of a borrowed descriptor.
    static func entries(of number: Int32) throws(SystemError) -> [DirectoryEntry] {
        var start: UnsafeMutablePointer<CChar>?
        var length = 0
        try SystemCall.run("readdir", to: "list the folder") {
            unsafe descriptors_list(number, &start, &length)
        }
        defer {
            unsafe free(start)
        }
        return unsafe entries(in: UnsafeRawBufferPointer(start: start, count: length))
    }

    /// Cuts what `descriptors_list` returned: a kind, a name, a NUL, again and again.
    private static func entries(in bytes: UnsafeRawBufferPointer) -> [DirectoryEntry] {
        var result: [DirectoryEntry] = []
        var rest = unsafe bytes[...]
        while let kind = unsafe rest.first, let end = unsafe rest.dropFirst().firstIndex(of: 0) {
            let name = unsafe Array(rest[rest.index(after: rest.startIndex)..<end])
            result.append(DirectoryEntry(name: name, kind: FileKind(rawValue: kind) ?? .unknown))
            unsafe rest = rest[rest.index(after: end)...]
        }
        return result
    }
}
