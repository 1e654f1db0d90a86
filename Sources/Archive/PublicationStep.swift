// SPDX-License-Identifier: MIT

/// What publishing does with one staged name (`docs/archive-format.md` section 8, publication).
///
/// May be carried out again at any time, also after it was cut short: what was moved is known by its inode.
struct PublicationStep: Sendable, Hashable {
    enum Action: UInt8, Sendable {
        /// The folder that has the name takes what is staged in this one.
        case merge = 1
        /// The name was free: moved there, or to the next number where it is taken now.
        case place = 2
        /// What has the name is ours: exchanged, checked, removed.
        case replace = 3
        /// The user has the same there: nothing is moved, and it stays the user's.
        case skip = 4
        /// It was delivered before and stands there: only its name is told.
        case keep = 5
        /// Another one has the name and stays: what is staged is dropped.
        case leave = 6
    }

    /// Index of the entry.
    let entry: Int
    let action: Action
    /// The name wanted in the final folder.
    let name: String
    /// Of the staged name; of the standing folder for `merge`.
    let inode: UInt64
    /// What `replace` may remove.
    let replaced: FileIdentity?

    init(_ action: Action, _ entry: Int, as name: String, inode: UInt64, replaced: FileIdentity? = nil) {
        self.entry = entry
        self.action = action
        self.name = name
        self.inode = inode
        self.replaced = replaced
    }

    func encode(to output: inout [UInt8]) {
        output.append(action.rawValue)
        output.append(varint: UInt64(entry))
        output.append(text: name)
        output.append(varint: inode)
        replaced?.encode(to: &output)
    }

    /// Reads what stands behind the kind byte of a step.
    init(from reader: inout ByteReader) throws(FormatError) {
        guard let action = Action(rawValue: try reader.u8()) else { throw FormatError("unknown step") }
        self.action = action
        entry = Int(try reader.varint("entry", atMost: UInt64(ArchiveLimits.entries)))
        name = try reader.text("name", atMost: ArchiveLimits.nameBytes)
        inode = try reader.varint("inode")
        replaced = action == .replace ? try FileIdentity(from: &reader) : nil
    }
}
