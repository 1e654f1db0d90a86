// SPDX-License-Identifier: MIT

import Archive
private import Transfer

/// What the worker may ask of the process that runs the desktop's programs.
///
/// No request names a program, an option or a variable. A message is a number of four bytes, the length of what
/// follows, and the fields here; both ends are the same program, so there are no versions.
enum DesktopRequest: Equatable, Sendable {
    /// Opens a file that `Delivery.view` has published, by its absolute path.
    case open(String)
    /// Puts such a file under quarantine (macOS), without opening it.
    case mark(String)
    /// Shows a notice, in place of the one with that number.
    case show(DesktopNotice, replacing: UInt32?)
    /// Shows a notice with a button that opens this folder; not answered.
    case offer(DesktopNotice, folder: String)
    /// A transfer runs from now on, or has ended: while any does the machine stays awake; not answered.
    case transferBegan, transferEnded

    /// The longest message, and the longest texts in it, in bytes.
    static let messageLimit = 32 << 10
    static let pathLimit = 8 << 10
    static let titleLimit = 1 << 10
    static let bodyLimit = 8 << 10

    private enum Kind: UInt64 {
        case open = 1
        case mark, show, offer, transferBegan, transferEnded
    }

    /// The message of this request under a number that its answer repeats.
    func message(_ number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: number)
        switch self {
        case .open(let path): bytes.append(Kind.open, path)
        case .mark(let path): bytes.append(Kind.mark, path)
        case .show(let notice, let replaced):
            bytes.append(varint: Kind.show.rawValue)
            bytes.append(notice)
            bytes.append(varint: replaced.map { UInt64($0) + 1 } ?? 0)
        case .offer(let notice, let folder):
            bytes.append(Kind.offer, folder)
            bytes.append(notice)
        case .transferBegan: bytes.append(varint: Kind.transferBegan.rawValue)
        case .transferEnded: bytes.append(varint: Kind.transferEnded.rawValue)
        }
        return bytes.framed
    }

    static func decode(_ bytes: [UInt8]) throws(FormatError) -> (number: UInt64, request: DesktopRequest) {
        try bytes.withSpan { span throws(FormatError) in
            var reader = ByteReader(span)
            let number = try reader.varint("number")
            guard let kind = Kind(rawValue: try reader.varint("kind")) else { throw FormatError("an unknown kind") }
            let request: DesktopRequest
            switch kind {
            case .open: request = .open(try reader.text("path", atMost: pathLimit))
            case .mark: request = .mark(try reader.text("path", atMost: pathLimit))
            case .show:
                let notice = try reader.notice()
                let replaced = try reader.varint("number of a notice", atMost: UInt64(UInt32.max) + 1)
                request = .show(notice, replacing: replaced == 0 ? nil : UInt32(replaced - 1))
            case .offer:
                let folder = try reader.text("folder", atMost: pathLimit)
                request = .offer(try reader.notice(), folder: folder)
            case .transferBegan: request = .transferBegan
            case .transferEnded: request = .transferEnded
            }
            guard reader.isAtEnd else { throw FormatError("a request is longer than its fields") }
            return (number, request)
        }
    }
}

/// What became of a request that is answered.
enum DesktopAnswer: Equatable, Sendable {
    case opened(Opener.Outcome)
    /// Nothing was to be done for it, or it was done.
    case marked
    case shown(Notifier.Outcome)

    private static let reasonLimit = 2 << 10

    private enum Kind: UInt64 {
        case opened = 1
        case openFailed, openUnavailable, marked, shown, showFailed, showUnavailable
    }

    func message(_ number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: number)
        switch self {
        case .opened(.opened): bytes.append(varint: Kind.opened.rawValue)
        case .opened(.failed(let reason)): bytes.append(Kind.openFailed, reason.cut(toBytes: Self.reasonLimit))
        case .opened(.unavailable(let reason)):
            bytes.append(Kind.openUnavailable, reason.cut(toBytes: Self.reasonLimit))
        case .marked: bytes.append(varint: Kind.marked.rawValue)
        case .shown(.shown(let shown)):
            bytes.append(varint: Kind.shown.rawValue)
            bytes.append(varint: shown.map { UInt64($0) + 1 } ?? 0)
        case .shown(.failed(let reason)): bytes.append(Kind.showFailed, reason.cut(toBytes: Self.reasonLimit))
        case .shown(.unavailable(let reason)):
            bytes.append(Kind.showUnavailable, reason.cut(toBytes: Self.reasonLimit))
        }
        return bytes.framed
    }

    static func decode(_ bytes: [UInt8]) throws(FormatError) -> (number: UInt64, answer: DesktopAnswer) {
        try bytes.withSpan { span throws(FormatError) in
            var reader = ByteReader(span)
            let number = try reader.varint("number")
            guard let kind = Kind(rawValue: try reader.varint("kind")) else { throw FormatError("an unknown kind") }
            let answer: DesktopAnswer
            switch kind {
            case .opened: answer = .opened(.opened)
            case .openFailed: answer = .opened(.failed(reason: try reader.text("reason", atMost: reasonLimit)))
            case .openUnavailable:
                answer = .opened(.unavailable(reason: try reader.text("reason", atMost: reasonLimit)))
            case .marked: answer = .marked
            case .shown:
                let shown = try reader.varint("number of a notice", atMost: UInt64(UInt32.max) + 1)
                answer = .shown(.shown(number: shown == 0 ? nil : UInt32(shown - 1)))
            case .showFailed: answer = .shown(.failed(reason: try reader.text("reason", atMost: reasonLimit)))
            case .showUnavailable: answer = .shown(.unavailable(reason: try reader.text("reason", atMost: reasonLimit)))
            }
            guard reader.isAtEnd else { throw FormatError("an answer is longer than its fields") }
            return (number, answer)
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ kind: some RawRepresentable<UInt64>, _ text: String) {
        append(varint: kind.rawValue)
        append(text: text)
    }

    fileprivate mutating func append(_ notice: DesktopNotice) {
        append(text: notice.title.cut(toBytes: DesktopRequest.titleLimit))
        append(text: notice.body.cut(toBytes: DesktopRequest.bodyLimit))
        append(varint: UInt64(DesktopNotice.Urgency.allCases.firstIndex(of: notice.urgency) ?? 1))
        switch notice.origin {
        case .label(let label):
            append(varint: 0)
            append(text: label.cut(toBytes: DesktopRequest.titleLimit))
        case .unverified(let name):
            append(varint: 1)
            append(text: name.cut(toBytes: DesktopRequest.titleLimit))
        }
        append(varint: notice.expiry.map { Swift.min($0, DesktopNotice.longestExpiry) + 1 } ?? 0)
    }

    /// The same behind its length.
    fileprivate var framed: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(u32: UInt32(count))
        return bytes + self
    }
}

extension ByteReader {
    fileprivate mutating func notice() throws(FormatError) -> DesktopNotice {
        let title = try text("title", atMost: DesktopRequest.titleLimit)
        let body = try text("body", atMost: DesktopRequest.bodyLimit)
        let urgencies = DesktopNotice.Urgency.allCases
        let urgency = urgencies[Int(try varint("urgency", atMost: UInt64(urgencies.count - 1)))]
        let isUnverified = try varint("kind of origin", atMost: 1) == 1
        let name = try text("origin", atMost: DesktopRequest.titleLimit)
        let expiry = try varint("expiry", atMost: DesktopNotice.longestExpiry + 1)
        return DesktopNotice(
            title: title,
            body: body,
            urgency: urgency,
            origin: isUnverified ? .unverified(name: name) : .label(name),
            expiry: expiry == 0 ? nil : expiry - 1
        )
    }
}
