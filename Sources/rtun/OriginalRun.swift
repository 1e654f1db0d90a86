// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Transfer
import UnixSignals

/// What can be done where the laptop runs the original tool's daemon: files one by one, and no resume.
struct OriginalRun {
    /// How the laptop is called there: the original does not say its name.
    static let laptop = "laptop (original rtun)"

    let address: UnixAddress
    let report: SendReport

    /// Sends what the walk meets below `destination` (or views it), and tells what arrived.
    func transfer(
        _ walk: SourceWalk,
        to destination: [EntryName] = [],
        isView: Bool = false
    ) async throws -> ExitStatus {
        if !isView {
            report.note(
                "the laptop runs the original rtun daemon: no resume, files of the same name are replaced, "
                    + "and modes and times are not kept"
            )
        }
        let start = ProcessContext.monotonicNow
        let workshop = try await Workshop()
        let address = address
        let sender = try OriginalSender(
            isView: isView,
            workshop: workshop,
            connect: {
                try await OriginalConnection.open(address, within: TransferLimits.answerSeconds, on: Client.group)
            },
            report: { [report] in report.report($0) }
        )
        let source = OriginalSource(walk, to: destination, isView: isView) { [report] in report.report($0) }
        do {
            try await run(sender, source, from: start)
        } catch {
            report.clear()
            await workshop.shutDown()
            throw error
        }
        await workshop.shutDown()
        let progress = await sender.progress
        if progress.files == 0, report.problemCount > 0 {
            report.clear()
            return .failure
        }
        if isView {
            report.clear()
            for name in await sender.arrived { report.tell("\(Self.laptop): \(safe(name)) opened") }
            return report.problemCount > 0 ? .partial : .success
        }
        var committed = Committed()
        committed.names = await sender.arrived
        committed.files = UInt64(progress.files)
        committed.bytes = progress.durableBytes
        report.finish(
            committed,
            laptop: Self.laptop,
            progress: progress,
            elapsed: (ProcessContext.monotonicNow - start) / .seconds(1),
            isVerified: false
        )
        return report.problemCount > 0 ? .partial : .success
    }

    /// Runs until everything is sent; a signal ends it, and nothing of it can be resumed.
    private func run(_ sender: OriginalSender, _ source: OriginalSource, from start: Duration) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await sender.run(source)
                return true
            }
            group.addTask {
                for await signal in signals {
                    await sender.stop()
                    throw TransferError.local(
                        signal == .sigint ? Abort(.interrupted, "interrupted") : Abort(.stopping, "stopped by a signal")
                    )
                }
                return false
            }
            group.addTask { [report] in
                try await Task.sleep(for: .seconds(1), clock: .suspending)
                while true {
                    let elapsed = (ProcessContext.monotonicNow - start) / .seconds(1)
                    report.show(await sender.progress, total: nil, elapsed: elapsed)
                    try await Task.sleep(for: report.interval, clock: .suspending)
                }
            }
            defer { group.cancelAll() }
            while let isDone = try await group.next() {
                if isDone { return }
            }
        }
    }
}

extension Client {
    /// Says one line to an original daemon and returns what stands behind its OK.
    static func order(_ line: String, at address: UnixAddress) async throws -> String {
        var connection = try await OriginalConnection.open(
            address,
            within: TransferLimits.answerSeconds,
            on: group
        )
        defer { connection.close() }
        return try await connection.order(line)
    }
}
