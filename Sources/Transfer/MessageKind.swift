// SPDX-License-Identifier: MIT

/// The message types of `docs/protocol.md` section 3, by their wire numbers.
package enum MessageKind: UInt8, Sendable, CaseIterable {
    case hello = 0x01
    case welcome = 0x02
    case refused = 0x03
    case echo = 0x10
    case echoed = 0x11
    case notify = 0x12
    case notified = 0x13
    case open = 0x20
    case opened = 0x21
    case attach = 0x22
    case attached = 0x23
    case records = 0x30
    case frame = 0x31
    case commit = 0x32
    case have = 0x40
    case received = 0x42
    case durable = 0x43
    case reject = 0x44
    case committed = 0x45
    case heartbeat = 0x50
    case abort = 0x51

    /// Most bytes of a body.
    package var limit: Int {
        switch self {
        case .hello, .welcome, .refused, .notified, .opened, .attach, .attached, .abort: 4 << 10
        case .reject: 8 << 10
        case .echo, .echoed, .notify, .open: 16 << 10
        case .records: (64 << 10) + 16
        case .frame: (4 << 20) + (64 << 10)
        case .commit: 48
        case .have, .durable, .committed: 64 << 10
        case .received: 16
        case .heartbeat: 0
        }
    }
}
