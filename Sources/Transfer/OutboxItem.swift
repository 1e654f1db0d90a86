// SPDX-License-Identifier: MIT

private import Archive

/// A send that waits for a laptop: what to send, as whom, and to which one (`docs/archive-format.md` section 10).
package struct OutboxItem: Sendable, Hashable {
    static let file = StateFile(magic: "RTUNITEM", limit: SendRequest.byteLimit + 4_096)

    /// The same for every attempt: so the laptop knows an item that it has delivered before.
    package let identity: TransferIdentity
    package let request: SendRequest
    /// Display name of the only laptop to deliver to; nil: to whichever comes.
    package let laptop: String?
    /// The inbox where an attempt has begun, 16 bytes: no other one may get it any more.
    package var inbox: [UInt8]?
    /// Seconds since 1970.
    package let queued: UInt64
    /// `--compress`, nil for `auto`.
    package let compression: String?

    package init(
        identity: TransferIdentity,
        request: SendRequest,
        laptop: String?,
        queued: UInt64,
        compression: String?
    ) {
        self.identity = identity
        self.request = request
        self.laptop = laptop
        self.queued = queued
        self.compression = compression
    }

    /// Whether it may go to the laptop that says this of itself.
    package func isFor(_ welcome: Welcome) -> Bool {
        (inbox == nil || inbox == welcome.inbox) && (laptop == nil || laptop == welcome.displayName)
    }

    // MARK: - Encoding

    package func encode() throws -> [UInt8] {
        var fields = Fields()
        fields.set(1, bytes: identity.transfer.bytes)
        fields.set(2, bytes: identity.secret)
        fields.set(3, bytes: request.encoded)
        if let laptop { fields.set(4, text: laptop.cut(toBytes: 64)) }
        if let inbox { fields.set(5, bytes: inbox) }
        fields.set(6, number: queued)
        if let compression { fields.set(7, text: compression) }
        return try Self.file.encode(fields)
    }

    /// Nil where the bytes are no item that this version can read.
    package init?(_ bytes: [UInt8]) {
        guard let fields = Self.file.decode(bytes), let transfer = try? TransferID(fields),
            let secret = try? fields.bytes(2, count: 32), let encoded = fields.all(3).first,
            let request = try? SendRequest(decoding: encoded), let queued = try? fields.number(6)
        else { return nil }
        identity = TransferIdentity(transfer: transfer, secret: secret)
        self.request = request
        laptop = try? fields.text(4, atMost: 64)
        inbox = try? fields.bytes(5, count: 16)
        self.queued = queued
        compression = try? fields.text(7, atMost: 32)
    }
}
