// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Codecs
import Descriptors
import Transfer

/// One file on its way to the laptop's screen.
struct FileView {
    /// As the user wrote it.
    let path: String
    let source: SourceArguments
    let client: Client
    let options: TransferOptions

    /// Sends it and says what became of it; with `isUpdate` a file that is shown is only replaced.
    func show(isUpdate: Bool = false) async throws -> ExitStatus {
        let report = options.report(named: safe(path))
        let page = try source.sources.first.flatMap { try PageFiles($0) }
        if let left = page?.leftOut, !left.isEmpty {
            report.note("\(safe(path)) names more than is sent with a page; without \(left.count), as \(safe(left[0]))")
        }
        let walked = page.map { [$0.source] } ?? source.sources
        let walkOptions = page?.options ?? WalkOptions()
        let run = TransferRun(
            client: client,
            identity: .random(),
            purpose: .view,
            destination: [],
            place: place,
            isUpdate: isUpdate,
            page: page?.page,
            compression: options.compression,
            channels: options.channels,
            report: report,
            counter: source.streamName == nil ? SourceCounter(sources: walked, options: walkOptions) : nil
        )
        defer { report.clear() }
        let healing = HealingRun(run: run, patience: options.patience, firstPatience: options.firstPatience)
        let result: TransferRun.Result
        do {
            if let name = source.streamName {
                // Standard input can be read once.
                let stream = StreamSource(reading: OwnedDescriptor(adopting: 0), name: name)
                result = try await run.send(
                    SourcePlanner(walk: walk(), stream: stream),
                    on: try await healing.firstContact(try run.makeRequest())
                )
            } else {
                result = try await healing.send(
                    rememberingIn: { _ in nil },
                    { SourcePlanner(walk: SourceWalk(sources: walked, options: walkOptions)) }
                )
            }
        } catch TransferError.originalDaemon(let address) {
            guard source.streamName == nil else {
                throw SourceArguments.Fault(
                    description: "the original rtun daemon must be told a size first: view a file, not -"
                )
            }
            return try await OriginalRun(address: address, report: report).transfer(walk(), isView: true)
        }
        report.clear()
        if report.problemCount > 0 { return .partial }
        return tell(result)
    }

    private func walk() -> SourceWalk { SourceWalk(sources: source.sources, options: WalkOptions()) }

    /// A watch on the file as it is now; nil for standard input.
    func watch() -> FollowRun.Watched? {
        guard let file = source.sources.first else { return nil }
        return FollowRun.Watched(view: self, watch: FileWatch(file.folder, at: file.folderPath, name: file.name))
    }

    private func tell(_ result: TransferRun.Result) -> ExitStatus {
        let committed = result.committed
        let laptop = safe(result.welcome.displayName)
        if options.json {
            let outcome = ViewLine.Outcome(committed.view)
            JSONLine.write(ViewLine(path: path, outcome: outcome, reason: committed.reason, setting: committed.setting))
        }
        switch committed.view {
        case .opened, .replaced:
            let verb = committed.view == .opened ? "opened" : "updated"
            if !options.quiet, !options.json { StandardStream.output.line("\(laptop): \(safe(path)) \(verb)") }
            return .success
        case .saved:
            let name = committed.names.first.flatMap { $0.isEmpty ? nil : $0 } ?? path
            let reason = committed.reason.map { ": " + safe($0) } ?? ""
            let remedy = committed.setting.map { "; to allow it, on the laptop: \(safe($0))" } ?? ""
            StandardStream.error.line("rtun: \(laptop): \(safe(name)) was saved, not opened\(reason)\(remedy)")
            return .refused
        case .notOpened:
            StandardStream.error.line(
                "rtun: \(safe(path)) was not opened: \(safe(committed.reason ?? "no reason given"))"
            )
            return .failure
        }
    }

    /// 16 bytes that are the same whenever this file is viewed: from its absolute path, or its name on standard input.
    private var place: [UInt8]? {
        let words: String
        if let name = source.streamName {
            words = "name\0" + name.text
        } else if let file = source.sources.first,
            let folder = try? ProcessContext.realPath(of: file.folderPath.isEmpty ? "." : file.folderPath)
        {
            words = "path\0" + folder + "/" + file.name
        } else {
            return nil
        }
        let digest = try? Array(words.utf8).withSpan { (span: RawSpan) throws(CodecError) in try Digest(of: span) }
        var bytes: [UInt8] = []
        if let digest { bytes.append(digest: digest) }
        return digest == nil ? nil : Array(bytes.prefix(16))
    }
}

/// `--json`: what became of one file.
private struct ViewLine: Encodable {
    enum Outcome: String, Encodable {
        case opened, updated, saved
        case notOpened = "not_opened"

        init(_ outcome: ViewOutcome) {
            self =
                switch outcome {
                case .opened: .opened
                case .replaced: .updated
                case .saved: .saved
                case .notOpened: .notOpened
                }
        }
    }

    var messageType = "view"
    let path: String
    let outcome: Outcome
    let reason: String?
    let setting: String?
}
