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
    /// Given back when it ends.
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

    /// Lets others have what it has locked; nothing may use it any more.
    func letGo() {
        space.close(staysOnDisk: true)
        staging.letGo()
        for donor in donors { donor.letGo() }
    }

    /// True where another OPEN goes on with what this one leaves.
    func isSucceeded(by other: OpenRequest, of source: String?) -> Bool {
        request.transfer != other.transfer && self.source != nil && self.source == source
            && request.destination == other.destination
    }
}
