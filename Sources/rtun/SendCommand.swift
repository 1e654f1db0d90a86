// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Codecs
import Descriptors
import RTunDaemon
import Transfer

/// What a send leaves out, and how it treats links.
struct SelectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Leave out what matches; may be repeated.", valueName: "glob"))
    var exclude: [String] = []

    @Option(help: ArgumentHelp("Send what matches even if --exclude names it; may be repeated.", valueName: "glob"))
    var include: [String] = []

    @Option(help: ArgumentHelp("Read patterns to leave out from a file, one a line.", valueName: "file"))
    var excludeFrom: [String] = []

    @Flag(name: [.customShort("L"), .long], help: "Send what symlinks point to instead of the links.")
    var copyLinks = false

    enum Links: String, ExpressibleByArgument, CaseIterable {
        case keep, skip
    }

    @Option(help: "Symlinks below a folder: keep or skip.")
    var links: Links = .keep

    func walkOptions() throws -> WalkOptions {
        var options = WalkOptions()
        options.copiesLinks = copyLinks
        options.skipsLinks = links == .skip
        var excluded: [PathPattern] = []
        var included: [PathPattern] = []
        do {
            excluded = try exclude.map { try PathPattern($0) }
            included = try include.map { try PathPattern($0) }
            for path in excludeFrom { excluded += try PathPattern.patterns(inLines: try Self.text(of: path)) }
        } catch let error as PatternError {
            throw ValidationError(safe(error.description))
        }
        let filter = PathFilter(excluding: excluded, including: included)
        options.filter = filter.isEmpty ? nil : filter
        return options
    }

    /// The text of a file of patterns, at most 1 MiB.
    private static func text(of path: String) throws -> String {
        let slash = path.lastIndex(of: "/")
        let folder = try Directory.open(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".")
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        guard let bytes = try folder.readSmallFile(name, atMost: 1 << 20) else {
            throw ValidationError("\(safe(path)) does not exist or is longer than 1 MiB")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// How a transfer is packed and told; shared by `send` and `view`.
struct TransferOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "auto, none, zlib[:1-9] or zstd[:-7-22].",
            discussion: "auto takes what both sides have.",
            valueName: "codec"
        )
    )
    var compress = "auto"

    @Option(help: .hidden) var codecs: String?

    @Option(help: ArgumentHelp("Data connections through the tunnel, 0 to 8.", valueName: "number"))
    var channels = TransferLimits.dataConnections

    enum Progress: String, ExpressibleByArgument, CaseIterable {
        case auto, always, never
    }

    @Option(
        help: ArgumentHelp(
            "How long to wait for a tunnel that broke, as 30s, 10m or 24h.",
            discussion: "A send goes on by itself when the tunnel is back.",
            valueName: "duration"
        )
    )
    var wait = "24h"

    @Option(help: "auto (on a terminal), always or never.")
    var progress: Progress = .auto

    @Flag(name: .shortAndLong, help: "Say nothing unless something goes wrong.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Say more.")
    var verbose = false

    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func validate() throws {
        guard (0...TransferLimits.dataConnections).contains(channels) else {
            throw ValidationError("--channels takes a number from 0 to \(TransferLimits.dataConnections)")
        }
        guard Self.duration(wait) != nil else {
            throw ValidationError("--wait takes a number with s, m or h, as 30s, 10m or 24h")
        }
        guard compress == "auto" || Compression(parsing: compress) != nil else {
            throw ValidationError("--compress takes auto, none, zlib, zlib:1 to zlib:9, zstd, or zstd:-7 to zstd:22")
        }
    }

    /// How long a broken send waits for a tunnel.
    var patience: Duration { Self.duration(wait) ?? .zero }

    private static func duration(_ text: String) -> Duration? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600]
        var digits = text[...]
        var factor: Int64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits.removeLast()
        }
        guard let number = Int64(digits), (0...1_000_000).contains(number) else { return nil }
        return .seconds(number * factor)
    }

    var compression: Compression? { Compression(parsing: compress) }

    /// What HELLO offers; `--codecs zlib` leaves zstd out, as a build without it would.
    var codecSet: CodecSet { codecs == "zlib" ? [CodecSet(.stored), CodecSet(.zlib)] : .all }

    var showsProgress: Bool {
        switch progress {
        case .always: true
        case .never: false
        case .auto: StandardStream.error.isTerminal
        }
    }

    func report(named name: String) -> SendReport {
        SendReport(mode: json ? .json : quiet ? .quiet : .text, showsProgress: showsProgress, name: name)
    }
}

/// `rtun send`: files and folders to the laptop.
struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send files and folders to your computer.",
        discussion: """
            Every argument is a source; - is standard input and needs --name. They land in the inbox under their own \
            names. What this server delivered before and nobody has changed since is brought up to date; anything \
            else that stands there is kept, and the new one becomes "name (2)". A send that broke off goes on with the \
            same command.

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

    @Option(help: "The name of what comes from standard input.")
    var name: String?

    @Flag(name: [.customShort("n"), .long], help: "Say what would be sent, and send nothing.")
    var dryRun = false

    @Argument(help: "Files and folders.")
    var paths: [String]

    func run() async throws {
        try await Client.run {
            let place = try Destination(output, sourceCount: paths.count)
            let sources = try SourceArguments(
                paths: paths,
                recursive: recursive,
                streamName: name,
                newName: place.newName
            )
            let options = try selection.walkOptions()
            let report = transfer.report(named: safe(paths.count == 1 ? paths[0] : "\(paths.count) sources"))
            for (path, name) in sources.renamed { report.note("\(safe(path)) will be \(safe(name))") }
            if dryRun { return list(sources, options, report) }

            let isCounted = sources.streamName == nil && (transfer.showsProgress || transfer.json)
            let run = TransferRun(
                client: Client(client, codecs: transfer.codecSet, sourceKey: (try? StateFolder())?.sourceKey()),
                purpose: .send,
                destination: place.folders,
                compression: transfer.compression,
                channels: transfer.channels,
                report: report,
                counter: isCounted ? SourceCounter(sources: sources.sources, options: options) : nil
            )
            let result: TransferRun.Result
            do {
                if let name = sources.streamName {
                    // Standard input can be read once: what a broken link has swallowed cannot be sent again.
                    let stream = StreamSource(reading: OwnedDescriptor(adopting: 0), name: name)
                    result = try await run.send(
                        SourcePlanner(
                            walk: SourceWalk(sources: sources.sources, options: options),
                            stream: stream
                        ),
                        on: try await run.open(try run.makeRequest())
                    )
                } else {
                    result = try await HealingRun(run: run, patience: transfer.patience).send(rememberingIn: { _ in nil
                    }) {
                        SourcePlanner(walk: SourceWalk(sources: sources.sources, options: options))
                    }
                }
            } catch {
                report.clear()
                throw error
            }
            tellNewNames(sources, result.committed, place, report)
            report.finish(
                result.committed,
                laptop: result.welcome.displayName,
                progress: result.progress,
                elapsed: result.elapsed
            )
            return report.problemCount > 0 ? .partial : .success
        }
    }

    /// Says which sources got another name because theirs was taken.
    private func tellNewNames(
        _ sources: SourceArguments,
        _ committed: Committed,
        _ place: Destination,
        _ report: SendReport
    ) {
        let wanted = sources.sources.map { $0.topLevelName.text } + (sources.streamName.map { [$0.text] } ?? [])
        guard wanted.count == committed.names.count else { return }
        let prefix = place.folders.map { $0.text + "/" }.joined()
        for (name, final) in zip(wanted, committed.names) where !final.isEmpty && final != prefix + name {
            report.note("\(safe(prefix + name)) was taken; it is now \(safe(final))")
        }
    }

    /// `-n`: a line for everything that would be sent.
    private func list(_ sources: SourceArguments, _ options: WalkOptions, _ report: SendReport) -> ExitStatus {
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
