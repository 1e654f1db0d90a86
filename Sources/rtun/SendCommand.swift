// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors
import RTunDaemon
import Transfer

/// `rtun send`: files and folders to the laptop.
struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send files and folders to your computer.",
        discussion: """
            Every argument is a source; - is standard input and needs --name. They land in the inbox under their own \
            names. What this server delivered before and nobody has changed since is brought up to date; anything \
            else that stands there is kept, and the new one becomes "name (2)". A send that broke off goes on with \
            --resume, or with the same command.

            """ + ExitStatus.help
    )

    @OptionGroup var client: ClientOptions
    @OptionGroup var selection: SelectionOptions
    @OptionGroup var transfer: TransferOptions

    @Flag(name: .shortAndLong, help: "Send folders with all that is in them.")
    var recursive = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Where it goes below the inbox: P/ is a folder, P a new name for a single source.",
            valueName: "P"
        )
    )
    var output: String?

    @Option(
        help: ArgumentHelp(
            "What becomes of a name that is taken: auto, rename, skip or error.",
            discussion: """
                auto replaces what this server delivered and nobody has changed since, and makes name (2) beside \
                anything else; rename always makes name (2); skip keeps what stands there; error sends nothing.
                """,
            valueName: "rule"
        )
    )
    var conflict: ConflictRule = .auto

    @Option(help: "The name of what comes from standard input.")
    var name: String?

    @Option(
        help: ArgumentHelp(
            "Read the names of more sources from a file, one a line; - is standard input.",
            valueName: "file"
        )
    )
    var filesFrom: String?

    @Flag(name: .customShort("0"), help: "The names of --files-from end with NUL.")
    var nulSeparated = false

    @Flag(help: "Read every file again, whatever is remembered of it.")
    var checksum = false

    @Flag(name: [.customShort("n"), .long], help: "Say what would be sent, and send nothing.")
    var dryRun = false

    @Flag(help: "Put it into the outbox and return: it is sent when there is a tunnel.")
    var queue = false

    @Option(
        defaultAsFlag: "",
        parsing: .next,
        help: ArgumentHelp(
            "Go on with an unfinished send: this one, or the latest whose sources are here.",
            valueName: "id"
        )
    )
    var resume: String?

    @Flag(help: "List unfinished sends.")
    var list = false

    @Option(help: ArgumentHelp("Forget an unfinished send, here and on the laptop.", valueName: "id"))
    var forget: String?

    @Argument(help: "Files and folders.")
    var paths: [String] = []

    mutating func validate() throws {
        paths = transfer.takeWordBehindWait() + paths
        let other = [resume != nil, list, forget != nil].filter { $0 }.count
        guard other <= 1, other == 0 || !queue else {
            throw ValidationError("--resume, --list, --forget and --queue exclude one another")
        }
        let hasWords =
            !paths.isEmpty || filesFrom != nil || recursive || output != nil || name != nil || dryRun
            || selection.isUsed || conflict != .auto
        if other > 0, hasWords {
            throw ValidationError(
                "--resume, --list and --forget take no sources: a send is remembered as it was asked for"
            )
        }
        if other == 0, paths.isEmpty, filesFrom == nil { throw ValidationError("name what is to be sent") }
        if nulSeparated, filesFrom == nil { throw ValidationError("-0 belongs to --files-from") }
        if queue, paths.contains("-") { throw ValidationError("standard input cannot wait: send it, or queue a file") }
        if filesFrom == "-", paths.contains("-") {
            throw ValidationError("standard input cannot be both list and source")
        }
    }

    func run() async throws {
        try await Client.run {
            if list {
                SendListing.show(try UnfinishedSends(SendStore(in: StateFolder())), asJSON: transfer.json)
                return .success
            }
            if let forget { return try await ForgetRun(id: forget, client: Client(client, sourceKey: sourceKey)).run() }
            if let resume { return try await goOn(with: resume) }
            // A list may name files of many folders, and each folder is held.
            if filesFrom != nil { _ = try? ProcessContext.raiseDescriptorLimit() }
            let paths = try paths + (filesFrom.map { try SourceList($0, nulSeparated: nulSeparated).paths } ?? [])
            let place = try Destination(output, sourceCount: paths.count)
            let sources = try SourceArguments(
                paths: paths,
                recursive: recursive,
                streamName: name,
                newName: place.newName
            )
            let report = transfer.report(named: safe(paths.count == 1 ? paths[0] : "\(paths.count) sources"))
            for (path, name) in sources.renamed { report.note("\(safe(path)) will be \(safe(name))") }
            let isStream = sources.streamName != nil
            var request = try SendRequest(
                paths: paths.filter { !isStream || $0 != "-" },
                recursive: recursive,
                output: output,
                selection: selection
            )
            request.conflict = conflict
            let options = try WalkOptions(request)
            if dryRun { return tell(sources, options, report) }
            if queue { return try enqueue(request, report) }
            return try await send(
                job(sources, options, place, request, isStream ? nil : SendMemory(request, report: report), report)
            )
        }
    }

    private var sourceKey: [UInt8]? { (try? StateFolder())?.sourceKey() }

    private func job(
        _ sources: SourceArguments,
        _ options: WalkOptions,
        _ place: Destination,
        _ request: SendRequest,
        _ memory: SendMemory?,
        _ report: SendReport
    ) throws -> SendJob {
        SendJob(
            sources: sources,
            options: options,
            place: place,
            client: Client(client, codecs: transfer.codecSet, sourceKey: sourceKey),
            transfer: transfer,
            compression: transfer.compression,
            report: report,
            memory: memory,
            identity: .random(),
            firstPatience: transfer.firstPatience,
            conflict: request.conflict,
            readsAll: checksum
        )
    }

    private func send(_ job: SendJob) async throws -> ExitStatus {
        let result: TransferRun.Result
        do {
            result = try await job.run()
        } catch TransferError.originalDaemon(let address) {
            guard job.sources.streamName == nil else {
                throw SourceArguments.Fault(
                    description: "the original rtun daemon must be told a size first: send a file, not -"
                )
            }
            guard job.conflict == .auto else {
                throw SourceArguments.Fault(
                    description: "the original rtun daemon replaces what stands there: it knows no --conflict"
                )
            }
            return try await OriginalRun(address: address, report: job.report).transfer(
                SourceWalk(sources: job.sources.sources, options: job.options),
                to: job.place.folders
            )
        }
        job.tellNewNames(result.committed)
        job.report.finish(
            result.committed,
            laptop: result.welcome.displayName,
            progress: result.progress,
            elapsed: result.elapsed
        )
        return job.report.problemCount > 0 ? .partial : .success
    }

    /// `--resume`: the request as it was remembered, at the laptop where it began.
    private func goOn(with id: String) async throws -> ExitStatus {
        let unfinished = try UnfinishedSends(SendStore(in: StateFolder()))
        let send = try id.isEmpty ? unfinished.latest() : unfinished.named(id)
        let request = send.request
        let report = transfer.report(named: request.title)
        report.note("going on with \(send.id): \(request.title)")
        let place = try Destination(request.output, sourceCount: request.sources.count)
        let sources = try SourceArguments(
            paths: request.sources,
            recursive: request.isRecursive,
            streamName: nil,
            newName: place.newName
        )
        let memory = SendMemory(request, beganAt: send.inbox, laptop: send.laptop, report: report)
        return try await self.send(job(sources, try WalkOptions(request), place, request, memory, report))
    }

    /// `--queue`: durable when this returns, sent when there is a tunnel.
    private func enqueue(_ request: SendRequest, _ report: SendReport) throws -> ExitStatus {
        let item = OutboxItem(
            identity: .random(),
            request: request,
            laptop: client.to,
            queued: UInt64(max(0, Timestamp.now().seconds)),
            compression: transfer.compress == "auto" ? nil : transfer.compress
        )
        let state = try StateFolder()
        let id = try Outbox(in: state).add(item)
        if transfer.json {
            JSONLine.write(QueuedLine(id: id, sources: request.sources))
        } else if !transfer.quiet {
            StandardStream.output.line(id)
            report.note("queued; it is sent when a tunnel is there, or by: rtun flush --wait")
        }
        // There may be a tunnel now: that is for another process to find out.
        DetachedFlush.startIfNeeded(socket: client.socket)
        return .success
    }

    /// `-n`: a line for everything that would be sent.
    private func tell(_ sources: SourceArguments, _ options: WalkOptions, _ report: SendReport) -> ExitStatus {
        var walk = SourceWalk(sources: sources.sources, options: options)
        var files: UInt64 = 0
        var bytes: UInt64 = 0
        while let step = walk.next() {
            switch step {
            case .problem(let problem): report.report(problem)
            case .entry(let entry):
                if entry.status.kind == .file {
                    files += 1
                    bytes += UInt64(entry.status.size)
                }
                guard !transfer.quiet, !transfer.json else { continue }
                StandardStream.output.line(safe(entry.path) + (entry.status.kind == .directory ? "/" : ""))
            }
        }
        report.note("\(files) files, \(ByteFormat.size(bytes)) would be sent")
        return report.problemCount > 0 ? .partial : .success
    }
}

extension ConflictRule: ExpressibleByArgument {
    package init?(argument: String) {
        guard let rule = Self.allCases.first(where: { "\($0)" == argument }) else { return nil }
        self = rule
    }

    package var defaultValueDescription: String { "\(self)" }

    package static var allValueStrings: [String] { allCases.map { "\($0)" } }
}

private struct QueuedLine: Encodable {
    var messageType = "queued"
    let id: String
    let sources: [String]
}
