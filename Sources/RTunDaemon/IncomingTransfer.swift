// SPDX-License-Identifier: MIT

package import Archive
package import Transfer

/// A send that comes in, over as many links as it takes.
package struct IncomingTransfer: Sendable {
    package let request: OpenRequest
    /// The name under which its source is filed; nil where it does not say who it is.
    package let source: String?
    package let receiver: Receiver
    package let staging: Staging
    /// Staging of earlier sends that it goes on with, locked as long as it lives.
    package let donors: [Donor]
    /// Disk space that is set aside for it.
    package let space: SpaceLedger.Reservation

    package init(
        request: OpenRequest,
        source: String?,
        receiver: Receiver,
        staging: Staging,
        donors: [Donor],
        space: SpaceLedger.Reservation
    ) {
        self.request = request
        self.source = source
        self.receiver = receiver
        self.staging = staging
        self.donors = donors
        self.space = space
    }

    /// Lets others have what it has locked and set aside; nothing may use it any more.
    func letGo(staysOnDisk: Bool = true) {
        space.close(staysOnDisk: staysOnDisk)
        staging.letGo()
        for donor in donors { donor.letGo() }
    }

    /// True where another OPEN goes on with what this one leaves.
    func isSucceeded(by other: OpenRequest, of source: String?) -> Bool {
        request.transfer != other.transfer && self.source != nil && self.source == source
            && request.request == other.request && request.destination == other.destination
    }

    /// True where it is that send of that source.
    func isOf(_ request: [UInt8], of source: String) -> Bool {
        self.request.request == request && self.source == source
    }
}
