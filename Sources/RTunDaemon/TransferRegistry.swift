// SPDX-License-Identifier: MIT

private import Codecs
package import Transfer

/// The transfers that are running or wait for their next link, so that connections find theirs.
package actor TransferRegistry {
    /// Transfers that may wait for their next link at once.
    private static let suspendedLimit = 8
    /// How long one waits for it, the laptop's sleep not counted.
    private static let suspendedTime: Duration = .seconds(900)

    private struct Entry {
        let transfer: IncomingTransfer
        /// Names the control connection; nil while there is none.
        var epoch: UInt64?
        /// Only the digest is kept of the secret.
        let secret: Digest
        /// Ends a transfer whose next link does not come.
        var expiry: Task<Void, Never>?
    }

    /// A request of one source.
    private struct Send: Hashable {
        let source: String
        let request: [UInt8]
    }

    private var entries: [TransferID: Entry] = [:]
    /// Sends that are about to be added, and are taking over what earlier attempts have staged.
    private var beginning: Set<Send> = []
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var nextEpoch: UInt64 = .random(in: 1...(1 << 32))

    package init() {}

    /// Transfers that have a link.
    package var count: Int { entries.values.count { $0.epoch != nil } }

    /// The suspended transfer that the request goes on with, from now on no longer suspended; nil where there is none.
    ///
    /// One that runs loses its link first: its sender is here. A wrong secret finds nothing.
    package func takeSuspended(for request: OpenRequest) async throws -> IncomingTransfer? {
        let secret = try Digest(ofSecret: request.secret)
        while let entry = entries[request.transfer], entry.secret == secret {
            if entry.epoch == nil {
                remove(request.transfer)
                return entry.transfer
            }
            await entry.transfer.receiver.loseLink()
            await withCheckedContinuation { waiting.append($0) }
        }
        return nil
    }

    /// Ends suspended transfers that another request goes on with.
    package func endSuspended(succeededBy request: OpenRequest, of source: String?) {
        for (id, entry) in entries where entry.epoch == nil && entry.transfer.isSucceeded(by: request, of: source) {
            entry.transfer.letGo()
            remove(id)
        }
    }

    /// Ends suspended transfers of a request, which is to be forgotten; false where one of them has a link.
    package func endSuspended(_ request: [UInt8], of source: String) -> Bool {
        let same = entries.filter { $0.value.transfer.isOf(request, of: source) }
        guard same.values.allSatisfy({ $0.epoch == nil }) else { return false }
        for (id, entry) in same {
            entry.transfer.letGo()
            remove(id)
        }
        return true
    }

    /// True where nobody sends the same; then nobody else may, until it is added or `beginsNot`.
    ///
    /// Asked before staging of earlier attempts is looked for: what a transfer that is just ending has staged is free when
    /// it has gone from here, and not before.
    package func mayBegin(_ request: OpenRequest, of source: String?) -> Bool {
        guard let name = request.request, let source else { return true }
        let isRunning = entries.values.contains { $0.epoch != nil && $0.transfer.isOf(name, of: source) }
        return !isRunning && beginning.insert(Send(source: source, request: name)).inserted
    }

    /// The send that was allowed to begin does not.
    package func beginsNot(_ request: OpenRequest, of source: String?) {
        guard let name = request.request, let source else { return }
        beginning.remove(Send(source: source, request: name))
    }

    /// Registers a transfer that has a link, and names its control connection; nil where the id is taken, or another
    /// process is sending the same.
    package func add(_ transfer: IncomingTransfer) throws -> UInt64? {
        let id = transfer.request.transfer
        beginsNot(transfer.request, of: transfer.source)
        guard entries[id] == nil, !isRunning(transfer) else { return nil }
        nextEpoch += 1
        entries[id] = Entry(
            transfer: transfer,
            epoch: nextEpoch,
            secret: try Digest(ofSecret: transfer.request.secret)
        )
        return nextEpoch
    }

    /// Keeps a transfer that has lost its link until its sender comes again, or has not for too long.
    package func suspend(_ id: TransferID) {
        guard entries.values.count(where: { $0.epoch == nil }) < Self.suspendedLimit else { return end(id) }
        entries[id]?.epoch = nil
        entries[id]?.expiry = Task {
            do { try await Task.sleep(for: Self.suspendedTime, clock: .suspending) } catch { return }
            self.expire(id)
        }
        wake()
    }

    package func remove(_ id: TransferID) {
        entries.removeValue(forKey: id)?.expiry?.cancel()
        wake()
    }

    /// The transfer that a data connection may join; nil for every wrong id, secret or epoch alike.
    package func receiver(for request: AttachRequest) throws -> Receiver? {
        let secret = try Digest(ofSecret: request.secret)
        guard let found = entries[request.transfer], found.epoch == request.epoch, found.secret == secret else {
            return nil
        }
        return found.transfer.receiver
    }

    /// Ends all transfers; their senders are told why.
    package func stopAll(_ abort: Abort) async {
        for entry in entries.values { await entry.transfer.receiver.stop(abort) }
    }

    private func isRunning(_ transfer: IncomingTransfer) -> Bool {
        guard let request = transfer.request.request, let source = transfer.source else { return false }
        return entries.values.contains { $0.epoch != nil && $0.transfer.isOf(request, of: source) }
    }

    private func expire(_ id: TransferID) {
        guard entries[id]?.epoch == nil else { return }
        end(id)
    }

    /// Ends a suspended transfer: what is durable stays for a later one.
    private func end(_ id: TransferID) {
        entries[id]?.transfer.letGo()
        remove(id)
    }

    private func wake() {
        let woken = waiting
        waiting = []
        for continuation in woken { continuation.resume() }
    }
}

extension Digest {
    /// Comparing digests tells nothing about the secrets, whatever time it takes.
    init(ofSecret secret: [UInt8]) throws {
        var digester = Digester()
        self = try unsafe secret.withUnsafeBytes { try digester.digest($0.bytes) }
    }
}
