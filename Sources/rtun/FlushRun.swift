// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Synchronization
import Transfer

/// Delivers the outbox: one item after the other, the oldest first, beside other processes that do the same.
///
/// While another one delivers, this one watches it, and takes its item over when it shows no life any more.
struct FlushRun {
    let outbox: Outbox
    let client: Client
    let transfer: TransferOptions
    let takeOverAfter: Duration

    /// Looks this often for claims that end or change.
    private var watchInterval: Duration { min(takeOverAfter / 10, .seconds(2)) }

    /// How often a claim is renewed: many times before anybody takes it over.
    private var renewalInterval: Duration { takeOverAfter / 10 }

    /// Returns when nothing is left that this laptop may get; throws what keeps everything from being delivered.
    func deliverAll() async throws -> ExitStatus {
        var watch = ClaimWatch(patience: takeOverAfter)
        var skipped: Set<String> = []
        var status = ExitStatus.success
        var hasTold = false
        while true {
            let claims = try outbox.claims().filter { !skipped.contains($0.item) }
            let claim: OutboxClaim?
            if let left = watch.observe(claims, at: ProcessContext.monotonicNow).first {
                claim = try outbox.takeOver(left)
            } else if let busy = claims.first {
                if !hasTold, !transfer.quiet {
                    StandardStream.error.line("rtun: a process on \(safe(busy.host)) is delivering; waiting for it")
                    hasTold = true
                }
                try await Task.sleep(for: watchInterval, clock: .suspending)
                continue
            } else if let next = try outbox.waiting().first(where: { !skipped.contains($0) }) {
                claim = try outbox.claim(next)
            } else {
                return status
            }
            guard let claim else { continue }
            switch try await deliver(claim) {
            case .done(let result): status = max(status, result)
            case .notForThisLaptop: skipped.insert(claim.id)
            }
        }
    }

    private enum Outcome {
        case done(ExitStatus)
        case notForThisLaptop
    }

    /// The laptop is not the one that the item is for.
    private struct OtherLaptop: Error {}

    /// Delivers one item; throws, and puts it back, where the laptop is away or cannot take it now.
    private func deliver(_ claim: OutboxClaim) async throws -> Outcome {
        guard let item = claim.item else {
            try claim.giveBack()
            StandardStream.error.line("rtun: \(claim.id) cannot be read by this version; rtun flush --drop removes it")
            return .notForThisLaptop
        }
        let interval = renewalInterval
        let renewal = Task {
            // What cannot be renewed now is tried again; who has lost it finds out before the next attempt.
            while !Task.isCancelled {
                try? claim.renew()
                try await Task.sleep(for: interval, clock: .suspending)
            }
        }
        defer { renewal.cancel() }
        let report = transfer.report(named: item.request.title)
        do {
            let (result, status) = try await sendToItsLaptop(item, claim, report)
            try claim.finish(result)
            return .done(status)
        } catch is OtherLaptop {
            try claim.giveBack()
            return .notForThisLaptop
        } catch is OutboxClaim.Lost {
            return .notForThisLaptop
        } catch {
            let status = ExitStatus(error)
            if Self.isPassing(status) {
                try claim.giveBack()
                throw error
            }
            let sentence = Client.describe(error)
            if !transfer.quiet { StandardStream.error.line("rtun: \(claim.id): \(sentence)") }
            try claim.finish(Self.result(status, item, [sentence] + report.listed))
            return .done(status)
        }
    }

    /// Sends by the tunnel that answers, or where that leads to another laptop by one that leads to the item's own.
    private func sendToItsLaptop(
        _ item: OutboxItem,
        _ claim: OutboxClaim,
        _ report: SendReport
    ) async throws -> (OutboxResult, ExitStatus) {
        do {
            return try await send(item, claim, report, by: client, patience: transfer.firstPatience)
        } catch is OtherLaptop {
            guard let other = item.laptop.flatMap(client.to) else { throw OtherLaptop() }
            do {
                return try await send(item, claim, report, by: other, patience: .zero)
            } catch is NoTunnel {
                throw OtherLaptop()
            }
        }
    }

    private func send(
        _ item: OutboxItem,
        _ claim: OutboxClaim,
        _ report: SendReport,
        by client: Client,
        patience: Duration
    ) async throws -> (OutboxResult, ExitStatus) {
        let request = item.request
        let place = try Destination(request.output, sourceCount: request.sources.count)
        var gone: [String] = []
        let sources = try SourceArguments(
            paths: request.sources,
            recursive: request.isRecursive,
            streamName: nil,
            newName: place.newName
        ) { _, fault in gone.append(fault.description) }
        for sentence in gone { report.note(sentence) }
        guard !sources.sources.isEmpty else {
            return (Self.result(.partial, item, gone), .partial)
        }
        let held = Mutex(claim)
        let job = SendJob(
            sources: sources,
            options: try WalkOptions(request),
            place: place,
            client: client,
            transfer: transfer,
            compression: item.compression.flatMap { Compression(parsing: $0) } ?? transfer.compression,
            report: report,
            memory: SendMemory(request, report: report),
            identity: item.identity,
            firstPatience: patience,
            conflict: request.conflict,
            check: { welcome in
                guard item.isFor(welcome) else { throw OtherLaptop() }
                try held.withLock {
                    try $0.renew()
                    try $0.bind(to: welcome.inbox)
                }
            }
        )
        let sent = try await job.run()
        job.tellNewNames(sent.committed)
        report.finish(
            sent.committed,
            laptop: sent.welcome.displayName,
            progress: sent.progress,
            elapsed: sent.elapsed
        )
        let status: ExitStatus = report.problemCount > 0 || !gone.isEmpty ? .partial : .success
        var result = Self.result(status, item, gone + report.listed)
        result.laptop = sent.welcome.displayName
        result.names = sent.committed.names
        result.files = sent.committed.files
        result.byteCount = sent.committed.bytes
        return (result, status)
    }

    private static func result(_ status: ExitStatus, _ item: OutboxItem, _ messages: [String]) -> OutboxResult {
        var result = OutboxResult(
            status: status.rawValue,
            ended: UInt64(max(0, Timestamp.now().seconds)),
            sources: item.request.sources
        )
        result.messages = messages
        return result
    }

    /// True where the same item may well be delivered later: it stays in the outbox.
    private static func isPassing(_ status: ExitStatus) -> Bool {
        switch status {
        case .interrupted, .userInterrupt, .noTunnel, .laptopDisk: true
        default: false
        }
    }
}
