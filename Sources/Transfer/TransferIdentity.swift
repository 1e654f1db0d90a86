// SPDX-License-Identifier: MIT

private import Codecs

/// What a transfer is known by at the laptop; kept, the sender can come again as the same.
package struct TransferIdentity: Sendable, Hashable {
    package let transfer: TransferID
    /// 32 bytes, told to nobody but the laptop.
    package let secret: [UInt8]

    package init(transfer: TransferID, secret: [UInt8]) {
        self.transfer = transfer
        self.secret = secret
    }

    package static func random() -> TransferIdentity {
        TransferIdentity(transfer: .random(), secret: RandomBytes.make(32))
    }
}
