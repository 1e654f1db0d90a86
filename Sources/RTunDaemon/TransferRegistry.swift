// SPDX-License-Identifier: MIT

private import Codecs
package import Transfer

/// The transfers that are running, so that data connections find theirs.
package actor TransferRegistry {
    private struct Running {
        let receiver: Receiver
        let epoch: UInt64
        /// Only the digest is kept of the secret.
        let secret: Digest
    }

    private var running: [TransferID: Running] = [:]
    private var nextEpoch: UInt64 = .random(in: 1...(1 << 32))

    package init() {}

    package var count: Int { running.count }

    /// Registers a transfer and names its control connection; nil where the id is taken.
    package func add(_ receiver: Receiver, for request: OpenRequest) throws -> UInt64? {
        guard running[request.transfer] == nil else { return nil }
        nextEpoch += 1
        running[request.transfer] = Running(
            receiver: receiver,
            epoch: nextEpoch,
            secret: try Digest(ofSecret: request.secret)
        )
        return nextEpoch
    }

    package func remove(_ transfer: TransferID) {
        running[transfer] = nil
    }

    /// The transfer that a data connection may join; nil for every wrong id, secret or epoch alike.
    package func receiver(for request: AttachRequest) throws -> Receiver? {
        let secret = try Digest(ofSecret: request.secret)
        guard let found = running[request.transfer], found.epoch == request.epoch, found.secret == secret else {
            return nil
        }
        return found.receiver
    }

    /// Ends all transfers; their senders are told why.
    package func stopAll(_ abort: Abort) async {
        for entry in running.values { await entry.receiver.stop(abort) }
    }
}

extension Digest {
    /// Comparing digests tells nothing about the secrets, whatever time it takes.
    fileprivate init(ofSecret secret: [UInt8]) throws {
        var digester = try Digester()
        self = try unsafe secret.withUnsafeBytes { try digester.digest($0.bytes) }
    }
}
