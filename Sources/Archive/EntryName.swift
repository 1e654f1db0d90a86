// SPDX-License-Identifier: MIT

/// One path component that passed the rules of `docs/archive-format.md` section 3.5.
///
/// The only thing that can name an entry of an archive: it cannot hold `/`, `..`, NUL, a control or an invisible
/// character, so no code behind the decoder checks names again.
package struct EntryName: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    package var description: String { text }

    /// Why bytes are not a name.
    package enum Fault: String, Error, Sendable, Hashable {
        case empty = "the name is empty"
        case tooLong = "the name is longer than 255 bytes"
        case dots = "the name is . or .."
        case separator = "the name holds a slash"
        case control = "the name holds a control character"
        case invisible = "the name holds an invisible or direction-changing character"
        case notUTF8 = "the name is not valid UTF-8"
        case reserved = "names that begin with .rtun- are reserved"
    }

    /// Checks one component as it stands in a folder or in a record.
    package init(validating bytes: some Collection<UInt8>) throws(Fault) {
        guard !bytes.isEmpty else { throw .empty }
        guard bytes.count <= ArchiveLimits.nameBytes else { throw .tooLong }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        guard text != ".", text != ".." else { throw .dots }
        var isASCII = true
        for byte in bytes {
            if byte == 0x2F { throw .separator }
            if byte < 0x20 || byte == 0x7F { throw .control }
            if byte >= 0x80 { isASCII = false }
        }
        if !isASCII {
            for scalar in text.unicodeScalars {
                if (0x80...0x9F).contains(scalar.value) { throw .control }
                if Self.isInvisible(scalar) { throw .invisible }
            }
        }
        self.text = text
    }

    /// Names that the daemon keeps for itself in a folder that receives, in either case: a file system may fold it.
    package var isReserved: Bool {
        text.utf8.lazy.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }.starts(with: ".rtun-".utf8)
    }

    /// Compared byte for byte: `String` holds names equal that differ in normalisation, a file system need not.
    package static func == (left: EntryName, right: EntryName) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }

    /// Equal, as texts, of names that a file system may take for one: without case, and in whatever normalisation.
    var folded: String { text.uppercased().lowercased() }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }
}

/// The rule for symlinks of `docs/archive-format.md` section 5.
package enum SymlinkTarget {
    /// True if a link in a folder `depth` levels below its top-level name cannot lead out of the tree.
    ///
    /// `..` may stand only as leading components: "lexically inside" is not enough, since `a/../..` walks through
    /// whatever `a` links to. A link that is itself top-level (depth −1 folders) may not climb at all.
    package static func stays(_ target: String, inTreeAtDepth depth: Int) -> Bool {
        guard !target.isEmpty, !target.utf8.starts(with: "/".utf8), !target.utf8.contains(0) else { return false }
        var climbed = 0
        var hasDescended = false
        for component in target.split(separator: "/", omittingEmptySubsequences: true) {
            if component == ".." {
                if hasDescended { return false }
                climbed += 1
            } else if component != "." {
                hasDescended = true
            }
        }
        return climbed <= max(depth, 0)
    }
}
