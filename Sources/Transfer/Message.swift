// SPDX-License-Identifier: MIT

package import Archive
package import Codecs

/// A decoded message, but for RECORDS and FRAME, whose bytes are handled where they lie.
package enum Message: Sendable, Hashable {
    case hello(Hello)
    case welcome(Welcome)
    case refused(Abort)
    case echo([UInt8])
    case echoed([UInt8])
    case notify(NotifyRequest)
    case notified(NotifyOutcome)
    case open(OpenRequest)
    case opened(Opened)
    case attach(AttachRequest)
    case attached
    case forget(request: [UInt8])
    case forgotten
    case commit(Commit)
    case have(Have)
    case received(Received)
    case durable([ClosedRange<UInt64>])
    case reject(Rejection)
    case committed(Committed)
    case heartbeat
    case abort(Abort)
}

/// HELLO: what the client is and can do.
package struct Hello: Sendable, Hashable {
    package var version: UInt64 = 1
    package var codecs: CodecSet
    package var software: String
    /// 32 bytes; names nothing, is shown to nobody.
    package var sourceKey: [UInt8]?
    package var hostName: String

    package init(codecs: CodecSet, software: String, sourceKey: [UInt8]?, hostName: String) {
        self.codecs = codecs
        self.software = software
        self.sourceKey = sourceKey
        self.hostName = hostName
    }
}

/// WELCOME: what the daemon tells on purpose, and nothing else about the laptop.
package struct Welcome: Sendable, Hashable {
    package var version: UInt64 = 1
    package var codecs: CodecSet
    package var software: String
    /// 16 bytes.
    package var inbox: [UInt8]
    package var displayName: String
    package var label: String
    package var isKnown = false

    package init(codecs: CodecSet, software: String, inbox: [UInt8], displayName: String, label: String) {
        self.codecs = codecs
        self.software = software
        self.inbox = inbox
        self.displayName = displayName
        self.label = label
    }
}

/// Codecs as a bit set; stored is always there.
package struct CodecSet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package init(_ codec: Codec) {
        rawValue = 1 << UInt64(codec.rawValue)
    }

    /// Everything that this build can do.
    package static let all: CodecSet = [CodecSet(.stored), CodecSet(.zlib), CodecSet(.zstd)]

    package func contains(_ codec: Codec) -> Bool { contains(CodecSet(codec)) }
}

/// NOTIFY.
package struct NotifyRequest: Sendable, Hashable {
    package var title: String
    package var body: String
    /// 0 low, 1 normal, 2 critical.
    package var urgency: UInt64
    /// It takes the place of the last one with this id.
    package var id: String?
    /// Seconds.
    package var expiry: UInt64?

    package init(title: String, body: String, urgency: UInt64, id: String? = nil, expiry: UInt64? = nil) {
        self.title = title
        self.body = body
        self.urgency = urgency
        self.id = id
        self.expiry = expiry
    }
}

/// What became of a file that was to be viewed.
package enum ViewOutcome: UInt64, Sendable {
    /// Not opened: the laptop's policy, or not a view at all.
    case saved = 0
    case opened = 1
    /// Allowed, but no program took it.
    case notOpened = 2
    /// It was opened before and is replaced where it stands.
    case replaced = 3
}

/// NOTIFIED.
package enum NotifyOutcome: UInt64, Sendable {
    case shown = 0
    case notShown = 1
    case heldBack = 2
}

/// OPEN: a transfer begins.
package struct OpenRequest: Sendable, Hashable {
    package enum Purpose: UInt64, Sendable {
        case send = 0
        case view = 1
    }

    package var transfer: TransferID
    /// 32 bytes.
    package var secret: [UInt8]
    package var purpose: Purpose
    /// Folders below the inbox, outermost first.
    package var destination: [EntryName]
    /// 16 bytes: which send of its source this is, nil where it is none that could go on.
    package var request: [UInt8]?
    /// The sender knows nothing of earlier attempts with this id: what is left of them is ended first.
    package var isAnew = false
    /// View: 16 bytes, the same for the same file of this source.
    package var place: [UInt8]?
    /// View: what is shown in that place is only replaced.
    package var isUpdate = false
    /// View: the web page in the folder that comes, which is opened; nil for a file alone.
    package var page: EntryName?
    /// Send: what becomes of names that are taken.
    package var conflict = ConflictRule.auto

    package init(
        transfer: TransferID,
        secret: [UInt8],
        purpose: Purpose,
        destination: [EntryName],
        place: [UInt8]? = nil,
        isUpdate: Bool = false,
        page: EntryName? = nil
    ) {
        self.transfer = transfer
        self.secret = secret
        self.purpose = purpose
        self.destination = destination
        self.place = place
        self.isUpdate = isUpdate
        self.page = page
    }
}

/// The public name of a transfer: 8 random bytes, shown as 16 hex digits.
package struct TransferID: Sendable, Hashable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static func random() -> TransferID { TransferID(rawValue: .random(in: .min ... .max)) }

    package var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// OPENED.
package struct Opened: Sendable, Hashable {
    package var epoch: UInt64
    /// Bytes.
    package var credit: UInt64
    package var channels: UInt64
    /// What the daemon has of a transfer that goes on; nil where it begins.
    package var taken: Taken?

    /// Records that were taken, and chunks that they list.
    package struct Taken: Sendable, Hashable {
        package var records: UInt64
        package var chunks: UInt64

        package init(records: UInt64, chunks: UInt64) {
            self.records = records
            self.chunks = chunks
        }
    }

    package init(epoch: UInt64, credit: UInt64, channels: UInt64, taken: Taken? = nil) {
        self.epoch = epoch
        self.credit = credit
        self.channels = channels
        self.taken = taken
    }
}

/// RECEIVED: how far the receiver has read.
package struct Received: Sendable, Hashable {
    /// Bytes on all connections of the epoch, behind their handshakes.
    package var bytes: UInt64
    /// Records of the transfer that were taken.
    package var records: UInt64

    package init(bytes: UInt64, records: UInt64) {
        self.bytes = bytes
        self.records = records
    }
}

/// ATTACH: a data connection joins a transfer.
package struct AttachRequest: Sendable, Hashable {
    package var transfer: TransferID
    package var secret: [UInt8]
    package var epoch: UInt64

    package init(transfer: TransferID, secret: [UInt8], epoch: UInt64) {
        self.transfer = transfer
        self.secret = secret
        self.epoch = epoch
    }
}

/// COMMIT: what the sender says that it has sent.
package struct Commit: Sendable, Hashable {
    package var records: UInt64
    package var frames: UInt64
    package var manifest: Digest

    package init(records: UInt64, frames: UInt64, manifest: Digest) {
        self.records = records
        self.frames = frames
        self.manifest = manifest
    }
}

/// HAVE: which of the offered chunks need not travel.
package struct Have: Sendable, Hashable {
    /// All ordinals below are answered.
    package var answered: UInt64
    /// Those of them that are there and were not named before.
    package var ranges: [ClosedRange<UInt64>]

    package init(answered: UInt64, ranges: [ClosedRange<UInt64>]) {
        self.answered = answered
        self.ranges = ranges
    }
}

/// REJECT: one entry that the receiver does not take.
package struct Rejection: Sendable, Hashable {
    /// Number of the entry.
    package var entry: UInt32
    package var cause: RejectCause
    /// The entry's path, as the sender's own records say it.
    package var path: String

    package init(entry: UInt32, cause: RejectCause, path: String) {
        self.entry = entry
        self.cause = cause
        self.path = path
    }
}

/// COMMITTED: what stands at the laptop now.
package struct Committed: Sendable, Hashable {
    /// Final names, one for each top-level entry; empty where an identical one stood there.
    package var names: [String] = []
    package var files: UInt64 = 0
    package var bytes: UInt64 = 0
    /// Files that are not there because another one of their name stays.
    package var left: UInt64 = 0
    package var view: ViewOutcome = .saved
    package var reason: String?
    package var setting: String?

    package init() {}
}
