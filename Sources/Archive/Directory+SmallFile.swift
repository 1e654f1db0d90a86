// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Files that are read and written in one piece: keys and identities.
extension Directory {
    /// The bytes of a regular file, at most `limit`; nil where there is no such file or it is longer.
    package func readSmallFile(_ name: String, atMost limit: Int) throws(SystemError) -> [UInt8]? {
        guard try statusIfPresent(name)?.kind == .file else { return nil }
        let file = try openFile(name)
        let slab = try Slab(capacity: limit + 1)
        let count = try slab.withMutableBytes(0..<slab.capacity) { (span: inout MutableRawSpan) throws(SystemError) in
            try file.read(into: &span, at: 0)
        }
        return count <= limit ? slab.withBytes(0..<count) { $0.copy } : nil
    }

    /// Makes a file with these bytes, mode 0600, all of it or none: written beside, synced, renamed.
    ///
    /// A file that stands there already is left as it is: two that make it at once end up with one.
    package func makeSmallFile(_ name: String, _ bytes: [UInt8]) throws(SystemError) {
        // Hidden, and with a reserved name where the name itself is: what a crash leaves counts as no delivery.
        let draft = (name.hasPrefix(".") ? name : "." + name) + ".\(ProcessContext.processID)"
        let file = try createFile(draft)
        do throws(SystemError) {
            try Self.write(bytes, to: file)
            try file.synchronize()
            try file.close()
            try renameWithoutReplacing(draft, to: name, in: self)
        } catch {
            try removeFile(draft)
            guard error.errno == .fileExists else { throw error }
        }
        try synchronize()
    }

    /// Gives the name a file with these bytes, mode 0600, in place of what has it: written beside, renamed.
    ///
    /// `synced` makes bytes and name durable; without it a power cut may leave an older file, a cut one, or none.
    package func replaceSmallFile(_ name: String, _ bytes: [UInt8], synced: Bool) throws(SystemError) {
        // Several hosts may share the folder: a number of a process is no name there.
        let draft = ".\(name).\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let file = try createFile(draft)
        do throws(SystemError) {
            try Self.write(bytes, to: file)
            if synced { try file.synchronize() }
            try file.close()
            try rename(draft, to: name, in: self)
        } catch {
            // What cannot be removed is a draft that nobody reads.
            try? removeFile(draft)
            throw error
        }
        if synced { try synchronize() }
    }

    private static func write(_ bytes: [UInt8], to file: borrowing OwnedDescriptor) throws(SystemError) {
        try bytes.withSpan { (span: RawSpan) throws(SystemError) in try file.writeAll(span, at: 0) }
    }
}
