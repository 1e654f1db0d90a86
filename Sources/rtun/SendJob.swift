// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Transfer

/// One send, from opened sources to what stands at the laptop: what `send`, `send --resume` and `flush` have in common.
struct SendJob {
    let sources: SourceArguments
    let options: WalkOptions
    let place: Destination
    let client: Client
    let transfer: TransferOptions
    let compression: Compression?
    let report: SendReport
    /// Nil for what nobody can go on with: standard input.
    let memory: SendMemory?
    let identity: TransferIdentity
    /// How long to wait for the first contact.
    let firstPatience: Duration
    /// What becomes of names that are taken.
    let conflict: ConflictRule
    /// Read every file again, whatever is remembered of it.
    var readsAll = false
    /// Looks at each laptop before anything is sent to it, and throws where it is not the one.
    var check: @Sendable (Welcome) throws -> Void = { _ in }

    /// Sends; what ends it early says how to go on.
    func run() async throws -> TransferRun.Result {
        let isCounted = sources.streamName == nil && (transfer.showsProgress || transfer.json)
        let run = TransferRun(
            client: client,
            identity: identity,
            purpose: .send,
            destination: place.folders,
            compression: compression,
            channels: transfer.channels,
            report: report,
            counter: isCounted ? SourceCounter(sources: sources.sources, options: options) : nil,
            memory: memory,
            streamRequest: sources.streamName.map { _ in RandomBytes.make(16) },
            conflict: conflict,
            readsAll: readsAll,
            rate: transfer.rate,
            check: check
        )
        let healing = HealingRun(run: run, patience: transfer.patience, firstPatience: firstPatience)
        let result: TransferRun.Result
        do {
            let stream = sources.streamName.map {
                StreamSource(reading: OwnedDescriptor(adopting: 0), name: $0, spool: makeSpool())
            }
            let folder: @Sendable (Welcome) -> Directory? = { [memory] _ in memory?.directory }
            result = try await healing.send(rememberingIn: folder) {
                if let stream, !stream.rewind() { throw TransferError.sourceGone }
                return SourcePlanner(walk: SourceWalk(sources: sources.sources, options: options), stream: stream)
            }
        } catch let delivered as TransferRun.AlreadyDelivered {
            result = delivered.result
        } catch {
            report.clear()
            guard let advice = memory?.interrupt(), [.interrupted, .userInterrupt].contains(ExitStatus(error)) else {
                throw error
            }
            throw Interruption(cause: error, advice: advice)
        }
        memory?.finish()
        return result
    }

    /// Where standard input is kept until it is durable; nil where nobody waits for a broken link, or it cannot be kept.
    private func makeSpool() -> StreamSpool? {
        guard transfer.patience > .zero else { return nil }
        let warn: @Sendable (any Error) -> Void = { [report] error in
            report.note("standard input cannot be sent again if the link breaks: \(Client.describe(error))")
        }
        do {
            let file = try SendStore(in: StateFolder()).makeSpool()
            return StreamSpool(in: file, slots: TransferLimits.spoolSlots, failed: warn)
        } catch {
            warn(error)
            return nil
        }
    }

    /// Says which sources got another name because theirs was taken.
    func tellNewNames(_ committed: Committed) {
        let wanted = sources.sources.map { $0.topLevelName.text } + (sources.streamName.map { [$0.text] } ?? [])
        guard wanted.count == committed.names.count else { return }
        let prefix = place.folders.map { $0.text + "/" }.joined()
        for (name, final) in zip(wanted, committed.names) where !final.isEmpty && final != prefix + name {
            report.note("\(safe(prefix + name)) was taken; it is now \(safe(final))")
        }
    }
}

/// A send that ended early and can go on.
struct Interruption: Error {
    let cause: any Error
    /// What to type.
    let advice: String
}
