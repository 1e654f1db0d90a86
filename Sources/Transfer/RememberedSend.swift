// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors

/// A send that the server's home remembers, as it is listed and gone on with.
package struct RememberedSend: Sendable, Hashable {
    /// 16 hex digits.
    package let id: String
    package let request: SendRequest
    /// The inbox where it began, 16 bytes.
    package let inbox: [UInt8]
    /// The display name of that laptop.
    package let laptop: String
    /// Nil where it is finished.
    package let progress: Progress?
    /// Last use.
    package let changed: Timestamp

    /// How far an unfinished send was.
    package struct Progress: Sendable, Hashable {
        /// Seconds since 1970.
        package let began: UInt64
        /// Bytes, as last noted.
        package let durable: UInt64
    }

    /// Reads a folder of the store; nil where its request is missing or damaged.
    init?(id: String, in directory: Directory) {
        guard
            let bytes = try? directory.readSmallFile(
                SendFolder.requestName,
                atMost: SendFolder.requestFile.limit
            ),
            let fields = SendFolder.requestFile.decode(bytes),
            let encoded = fields.all(1).first, let request = try? SendRequest(decoding: encoded),
            let inbox = try? fields.bytes(2, count: 16),
            let laptop = try? fields.text(3, atMost: 64),
            let status = try? directory.status()
        else { return nil }
        self.id = id
        self.request = request
        self.inbox = inbox
        self.laptop = laptop
        changed = status.modified
        progress = Self.progress(in: directory)
    }

    /// A marker that is cut or damaged still says that the send is unfinished.
    static func progress(in directory: Directory) -> Progress? {
        guard let status = try? directory.statusIfPresent(SendFolder.markerName) else { return nil }
        let fields = (try? directory.readSmallFile(SendFolder.markerName, atMost: SendFolder.markerFile.limit))
            .flatMap { SendFolder.markerFile.decode($0) }
        return Progress(
            began: (try? fields?.number(1)) ?? UInt64(max(0, status.modified.seconds)),
            durable: (try? fields?.number(2)) ?? 0
        )
    }
}
