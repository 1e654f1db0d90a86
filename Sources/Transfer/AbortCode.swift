// SPDX-License-Identifier: MIT

/// The codes of REFUSED and ABORT (`docs/protocol.md` section 7).
package enum AbortCode: UInt8, Sendable, Hashable {
    case protocolViolation = 1
    case busy = 2
    case policy = 3
    case diskFull = 4
    case readOnly = 5
    case inputOutput = 6
    case integrity = 7
    case unknown = 8
    case version = 9
    case `internal` = 10
    case interrupted = 11
    case stopping = 12
    case quota = 13
    case timeout = 14
    case conflict = 15
}

/// Why one side does not go on, as it tells the other.
package struct Abort: Error, Sendable, Hashable {
    package let code: AbortCode
    /// One sentence for people; never a path or a figure of the laptop.
    package let reason: String
    /// The key of the laptop's configuration that governs it.
    package let setting: String?

    package init(_ code: AbortCode, _ reason: String, setting: String? = nil) {
        self.code = code
        self.reason = reason
        self.setting = setting
    }
}

extension Abort {
    /// Files changed when nothing could be announced any more.
    static let sourceChanged = Abort(.interrupted, "files changed while the send was being finished; send again")
}
