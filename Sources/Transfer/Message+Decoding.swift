// SPDX-License-Identifier: MIT

package import Archive
private import Codecs

extension Message {
    /// Decodes the body of a message; RECORDS and FRAME have decoders of their own.
    package init(_ kind: MessageKind, body: RawSpan) throws(FormatError) {
        var reader = ByteReader(body)
        switch kind {
        case .echo: self = .echo(reader.rest().copy)
        case .echoed: self = .echoed(reader.rest().copy)
        case .commit:
            self = .commit(
                Commit(records: try reader.u64(), frames: try reader.u64(), manifest: try reader.digest())
            )
        case .have: self = .have(Have(answered: try reader.u64(), ranges: try reader.ranges()))
        case .durable: self = .durable(try reader.ranges())
        case .received: self = .received(Received(bytes: try reader.u64(), records: try reader.u64()))
        case .heartbeat: self = .heartbeat
        case .records, .frame: throw FormatError("a message that has a decoder of its own")
        case .hello, .welcome, .refused, .abort, .notify, .notified, .open, .opened, .attach, .attached, .forget,
            .forgotten, .reject, .committed:
            self = try Self.decode(kind, try Fields(from: &reader))
        }
        guard reader.isAtEnd else { throw FormatError("a message is longer than its fields") }
    }

    private static func decode(_ kind: MessageKind, _ fields: Fields) throws(FormatError) -> Message {
        switch kind {
        case .hello: .hello(try Hello(fields))
        case .welcome: .welcome(try Welcome(fields))
        case .refused: .refused(try Abort(fields))
        case .abort: .abort(try Abort(fields))
        case .notify:
            .notify(
                NotifyRequest(
                    title: try fields.text(1, atMost: 256) ?? "",
                    body: try fields.text(2, atMost: 8_192) ?? "",
                    urgency: min(try fields.number(3) ?? 1, 2),
                    id: try fields.text(4, atMost: 64),
                    expiry: try fields.number(5).map { min(max($0, 1), 86_400) }
                )
            )
        case .notified: .notified(NotifyOutcome(rawValue: try fields.number(1) ?? 0) ?? .notShown)
        case .open: .open(try OpenRequest(fields))
        case .opened: .opened(try Opened(fields))
        case .attach:
            .attach(
                AttachRequest(
                    transfer: try TransferID(fields),
                    secret: try Fields.require(fields.bytes(2, count: 32), "secret"),
                    epoch: try Fields.require(fields.number(3), "epoch")
                )
            )
        case .forget: .forget(request: try Fields.require(fields.bytes(1, count: 16), "request"))
        case .forgotten: .forgotten
        case .reject: try reject(fields)
        case .committed: .committed(try Committed(fields))
        default: .attached
        }
    }

    private static func reject(_ fields: Fields) throws(FormatError) -> Message {
        let entry = try Fields.require(fields.number(1), "entry")
        guard let number = UInt32(exactly: entry) else { throw FormatError("entry is over its limit") }
        let cause = try Fields.require(fields.number(2), "cause")
        // A cause of a later version reads as "not taken".
        return .reject(
            Rejection(
                entry: number,
                cause: UInt8(exactly: cause).flatMap(RejectCause.init) ?? .nameNotTaken,
                path: try fields.text(3, atMost: 4_000) ?? ""
            )
        )
    }
}

extension Hello {
    init(_ fields: Fields) throws(FormatError) {
        let codecs = CodecSet(rawValue: try Fields.require(fields.number(2), "codecs"))
        guard codecs.contains(.stored) else { throw FormatError("a peer that cannot take stored frames") }
        self.init(
            codecs: codecs,
            software: try fields.text(3, atMost: 64) ?? "",
            sourceKey: try fields.bytes(4, count: 32),
            hostName: try fields.text(5, atMost: 255) ?? ""
        )
        version = try Fields.require(fields.number(1), "version")
    }
}

extension Welcome {
    init(_ fields: Fields) throws(FormatError) {
        self.init(
            codecs: CodecSet(rawValue: try Fields.require(fields.number(2), "codecs")),
            software: try fields.text(3, atMost: 64) ?? "",
            inbox: try Fields.require(fields.bytes(4, count: 16), "inbox"),
            displayName: try fields.text(5, atMost: 64) ?? "",
            label: try fields.text(6, atMost: 32) ?? ""
        )
        version = try Fields.require(fields.number(1), "version")
        isKnown = try fields.number(7) == 1
        guard version == 1 else { throw FormatError("a version that was not offered") }
    }
}

extension Abort {
    init(_ fields: Fields) throws(FormatError) {
        let code = try Fields.require(fields.number(1), "code")
        self.init(
            UInt8(exactly: code).flatMap(AbortCode.init) ?? .internal,
            try fields.text(2, atMost: 512) ?? "",
            setting: try fields.text(3, atMost: 128)
        )
    }
}

extension TransferID {
    init(_ fields: Fields) throws(FormatError) {
        let bytes = try Fields.require(fields.bytes(1, count: 8), "transfer")
        self.init(rawValue: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }
}

extension OpenRequest {
    init(_ fields: Fields) throws(FormatError) {
        guard let purpose = Purpose(rawValue: try fields.number(3) ?? 0) else { throw FormatError("unknown purpose") }
        var destination: [EntryName] = []
        for text in try fields.texts(4, atMost: ArchiveLimits.nameBytes) { destination.append(try Self.name(text)) }
        guard destination.count < ArchiveLimits.depth, destination.first?.isReserved != true else {
            throw FormatError("the folder to deliver to")
        }
        self.init(
            transfer: try TransferID(fields),
            secret: try Fields.require(fields.bytes(2, count: 32), "secret"),
            purpose: purpose,
            destination: destination,
            place: try fields.bytes(7, count: 16),
            isUpdate: try fields.number(8) == 1,
            page: try fields.text(9, atMost: ArchiveLimits.nameBytes).map { (text) throws(FormatError) in
                try Self.name(text)
            }
        )
        request = try fields.bytes(5, count: 16)
        isAnew = try fields.number(6) == 1
        guard page == nil || purpose == .view else { throw FormatError("a page that is not viewed") }
        guard let conflict = ConflictRule(rawValue: try fields.number(10) ?? 0) else {
            throw FormatError("an unknown rule for conflicts")
        }
        self.conflict = conflict
    }

    private static func name(_ text: String) throws(FormatError) -> EntryName {
        do throws(EntryName.Fault) {
            return try EntryName(validating: text.utf8)
        } catch {
            throw FormatError(error.rawValue)
        }
    }
}

extension Opened {
    init(_ fields: Fields) throws(FormatError) {
        self.init(
            epoch: try Fields.require(fields.number(1), "epoch"),
            credit: try Fields.require(fields.number(2), "credit"),
            channels: try Fields.require(fields.number(3), "channels")
        )
        if let records = try fields.number(4), let chunks = try fields.number(5) {
            taken = Taken(records: records, chunks: chunks)
        }
    }
}

extension Committed {
    init(_ fields: Fields) throws(FormatError) {
        self.init()
        names = try fields.texts(1, atMost: ArchiveLimits.pathBytes)
        files = try fields.number(2) ?? 0
        bytes = try fields.number(3) ?? 0
        view = ViewOutcome(rawValue: try fields.number(4) ?? 0) ?? .saved
        reason = try fields.text(5, atMost: 512)
        setting = try fields.text(6, atMost: 128)
        left = try fields.number(7) ?? 0
    }
}

extension ByteReader {
    /// Pairs of first and count, ascending and not overlapping.
    fileprivate mutating func ranges() throws(FormatError) -> [ClosedRange<UInt64>] {
        var ranges: [ClosedRange<UInt64>] = []
        while !isAtEnd {
            let first = try u64()
            let count = try u32()
            let (last, overflow) = first.addingReportingOverflow(UInt64(count) &- 1)
            guard count >= 1, !overflow, ranges.last.map({ $0.upperBound < first }) ?? true else {
                throw FormatError("ranges overlap or do not ascend")
            }
            ranges.append(first...last)
        }
        return ranges
    }
}
