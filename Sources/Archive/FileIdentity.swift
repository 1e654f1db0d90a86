// SPDX-License-Identifier: MIT

package import Descriptors

/// By what a file on disk is known again: if all of it is equal, nobody has touched the file since.
package struct FileIdentity: Sendable, Hashable {
    package let inode: UInt64
    package let size: Int64
    package let modified: Timestamp
    package let changed: Timestamp

    package init(_ status: FileStatus) {
        inode = status.inode
        size = status.size
        modified = status.modified
        changed = status.changed
    }

    /// The change time also moves when rtun itself renames or links the file.
    package func matches(_ status: FileStatus, ignoringChangeTime: Bool = false) -> Bool {
        inode == status.inode && size == status.size && modified == status.modified
            && (ignoringChangeTime || changed == status.changed)
    }

    func encode(to output: inout [UInt8]) {
        output.append(varint: inode)
        output.append(varint: UInt64(max(0, size)))
        for time in [modified, changed] {
            output.append(svarint: time.seconds)
            output.append(varint: UInt64(max(0, time.nanoseconds)))
        }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        inode = try reader.varint("inode")
        size = Int64(try reader.varint("size", atMost: UInt64(Int64.max)))
        modified = try Timestamp(from: &reader)
        changed = try Timestamp(from: &reader)
    }
}

extension Timestamp {
    fileprivate init(from reader: inout ByteReader) throws(FormatError) {
        let seconds = try reader.svarint("seconds")
        let nanoseconds = try reader.varint("nanoseconds", atMost: 999_999_999)
        self.init(seconds: seconds, nanoseconds: Int32(nanoseconds))
    }
}
