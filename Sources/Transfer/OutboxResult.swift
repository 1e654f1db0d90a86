// SPDX-License-Identifier: MIT

private import Archive

/// What became of an item of the outbox.
package struct OutboxResult: Sendable, Hashable {
    static let file = StateFile(magic: "RTUNDONE", limit: 1 << 20)
    /// Messages and sources that are kept.
    package static let listed = 20
    private static let messageLimit = 1_024

    /// The exit code that `rtun send` would have had.
    package var status: Int32
    /// Seconds since 1970.
    package var ended: UInt64
    package var laptop: String?
    /// Where it stands now; empty for what stood there already.
    package var names: [String] = []
    package var files: UInt64 = 0
    package var byteCount: UInt64 = 0
    /// What went wrong, for people.
    package var messages: [String] = []
    package var sources: [String]

    package init(status: Int32, ended: UInt64, sources: [String]) {
        self.status = status
        self.ended = ended
        self.sources = sources
    }

    package func encode() throws -> [UInt8] {
        var fields = Fields()
        fields.set(1, number: UInt64(status))
        fields.set(2, number: ended)
        if let laptop { fields.set(3, text: laptop.cut(toBytes: 64)) }
        for name in names.prefix(Self.listed) { fields.set(4, text: name) }
        fields.set(5, number: files)
        fields.set(6, number: byteCount)
        for message in messages.prefix(Self.listed) { fields.set(7, text: message.cut(toBytes: Self.messageLimit)) }
        for source in sources.prefix(Self.listed) { fields.set(8, text: source) }
        return try Self.file.encode(fields)
    }

    /// Nil where the bytes are no result that this version can read.
    package init?(_ bytes: [UInt8]) {
        guard let fields = Self.file.decode(bytes), let number = try? fields.number(1),
            let status = Int32(exactly: number), let ended = try? fields.number(2)
        else { return nil }
        self.status = status
        self.ended = ended
        laptop = try? fields.text(3, atMost: 64)
        names = (try? fields.texts(4, atMost: ArchiveLimits.pathBytes)) ?? []
        files = (try? fields.number(5)) ?? 0
        byteCount = (try? fields.number(6)) ?? 0
        messages = (try? fields.texts(7, atMost: Self.messageLimit)) ?? []
        sources = (try? fields.texts(8, atMost: SendRequest.textLimit)) ?? []
    }
}
