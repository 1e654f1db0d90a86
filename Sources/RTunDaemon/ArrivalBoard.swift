// SPDX-License-Identifier: MIT

private import Archive
private import NIOCore
package import Transfer

/// Tells the user of files that have arrived: the first send of a session, and each that took long.
package actor ArrivalBoard {
    /// Seconds that a send takes to be told of.
    private static let longSend = 10.0
    /// Seconds without a send after which a source begins a new session: 12 hours.
    private static let sessionGap: Int64 = 12 * 3_600
    /// Sources that are remembered.
    private static let sourceLimit = 1_000

    private let notices: NoticeBoard
    private let inboxPath: String
    private var lastSends: [String: Int64] = [:]

    /// `inboxPath` is absolute.
    package init(notices: NoticeBoard, inboxPath: String) {
        self.notices = notices
        self.inboxPath = inboxPath
    }

    /// A send of `source` has ended well after `elapsed` seconds.
    package func tell(
        _ committed: Committed,
        from origin: DesktopNotice.Origin,
        source: String,
        elapsed: Double
    ) async {
        let now = Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000_000)
        let last = lastSends.updateValue(now, forKey: source)
        if lastSends.count > Self.sourceLimit { lastSends = [source: now] }
        let isFirst = last.map { now - $0 >= Self.sessionGap } ?? true
        guard isFirst || elapsed >= Self.longSend, let text = Self.sentence(committed, from: origin) else { return }
        let folder = inboxPath + "/" + Self.folder(of: committed)
        await notices.show(
            DesktopNotice(title: "files have arrived", body: text, urgency: .low, origin: origin),
            offering: folder
        )
    }

    /// "412 files, 1.2 GB from cluster in results/"; nil where everything stood there already.
    package static func sentence(_ committed: Committed, from origin: DesktopNotice.Origin) -> String? {
        let names = committed.names.filter { !$0.isEmpty }
        guard let first = names.first else { return nil }
        let size = ByteFormat.size(committed.bytes)
        let who =
            switch origin {
            case .label(let label): label
            case .unverified(let name): name.isEmpty ? "an unnamed server" : name
            }
        if committed.files == 1, names.count == 1 { return "\(first), \(size) from \(who)" }
        let place = names.count == 1 ? " in \(first)/" : ": \(first) and \(names.count - 1) more"
        return "\(committed.files) files, \(size) from \(who)\(place)"
    }

    /// The folder that holds the first name, below the inbox; never what a peer sent itself.
    private static func folder(of committed: Committed) -> String {
        let first = committed.names.first { !$0.isEmpty } ?? ""
        return first.lastIndex(of: "/").map { String(first[..<$0]) } ?? ""
    }
}
