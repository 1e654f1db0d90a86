// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors

/// What the server's home keeps of one send: its request, and a marker while it is unfinished.
///
/// Who else remembers something of the send keeps it in `directory`, and can lose it with that.
package struct SendFolder: Sendable {
    static let requestFile = StateFile(magic: "RTUNSEND", limit: SendRequest.byteLimit + 4_096)
    static let requestName = "request"
    static let markerFile = StateFile(magic: "RTUNMARK", limit: 4_096)
    static let markerName = "unfinished"

    /// 16 hex digits.
    package let id: String
    package let directory: Directory
    /// Seconds since 1970.
    let began: UInt64

    /// Writes the marker anew, with the bytes that are durable at the laptop.
    ///
    /// `renewal` differs from one call to the next, so that the folder changes even where its clock is coarse.
    package func note(durable: UInt64, renewal: UInt64) throws {
        var fields = Fields()
        fields.set(1, number: began)
        fields.set(2, number: durable)
        fields.set(3, number: renewal)
        try directory.replaceSmallFile(Self.markerName, try Self.markerFile.encode(fields), synced: false)
    }

    /// The send is delivered: only its memories stay.
    package func finish() throws(SystemError) {
        if try directory.statusIfPresent(Self.markerName) != nil { try directory.removeFile(Self.markerName) }
    }
}
