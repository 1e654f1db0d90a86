// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors
import Transfer

/// `rtun view`: files opened on the laptop's screen.
struct ViewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "view",
        abstract: "Open files on your computer.",
        discussion: """
            Pictures, PDF, CSV and text are opened in your own application; everything else is saved to the inbox and \
            not opened.

            """ + ExitStatus.help,
        aliases: ["open"]
    )

    @OptionGroup var client: ClientOptions
    @OptionGroup var transfer: TransferOptions

    @Option(help: "The name of what comes from standard input.")
    var name: String?

    @Argument(help: "Files; - is standard input.")
    var files: [String] = []

    mutating func validate() throws {
        files = transfer.takeWordBehindWait() + files
        if files.isEmpty { throw ValidationError("name what is to be viewed") }
    }

    func run() async throws {
        try await Client.run {
            let client = Client(client, codecs: transfer.codecSet, sourceKey: (try? StateFolder())?.sourceKey())
            let sources = try files.map {
                try SourceArguments(paths: [$0], recursive: false, streamName: name, newName: nil)
            }
            var status = ExitStatus.success
            for (path, source) in zip(files, sources) {
                status = max(status, try await view(path, source, client))
            }
            return status
        }
    }

    private func view(_ path: String, _ source: SourceArguments, _ client: Client) async throws -> ExitStatus {
        let report = transfer.report(named: safe(path))
        let stream = source.streamName.map { StreamSource(reading: OwnedDescriptor(adopting: 0), name: $0) }
        let planner = SourcePlanner(
            walk: SourceWalk(sources: source.sources, options: WalkOptions()),
            stream: stream
        )
        let run = TransferRun(
            client: client,
            identity: try .random(),
            purpose: .view,
            destination: [],
            compression: transfer.compression,
            channels: transfer.channels,
            report: report,
            counter: stream == nil ? SourceCounter(sources: source.sources, options: WalkOptions()) : nil
        )
        let result: TransferRun.Result
        do {
            result = try await run.send(planner, on: try await run.open(try run.makeRequest()))
        } catch TransferError.originalDaemon(let address) {
            guard stream == nil else {
                throw SourceArguments.Fault(
                    description: "the original rtun daemon must be told a size first: view a file, not -"
                )
            }
            return try await OriginalRun(address: address, report: report).transfer(
                SourceWalk(sources: source.sources, options: WalkOptions()),
                isView: true
            )
        } catch {
            report.clear()
            throw error
        }
        report.clear()
        if report.problemCount > 0 { return .partial }
        let committed = result.committed
        let laptop = safe(result.welcome.displayName)
        switch committed.view {
        case .opened:
            if !transfer.quiet { StandardStream.output.line("\(laptop): \(safe(path)) opened") }
            return .success
        case .saved:
            let name = committed.names.first.flatMap { $0.isEmpty ? nil : $0 } ?? path
            let setting = committed.setting.map { " (setting on the laptop: \(safe($0)))" } ?? ""
            let reason = committed.reason.map { ": " + safe($0) + setting } ?? ""
            StandardStream.error.line("rtun: \(laptop): \(safe(name)) was saved, not opened\(reason)")
            return .refused
        case .notOpened:
            StandardStream.error.line(
                "rtun: \(safe(path)) was not opened: \(safe(committed.reason ?? "no reason given"))"
            )
            return .failure
        }
    }
}
