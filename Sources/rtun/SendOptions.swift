// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Codecs
import Descriptors
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

    /// Whether anything of it was asked for.
    var isUsed: Bool {
        !exclude.isEmpty || !include.isEmpty || !excludeFrom.isEmpty || copyLinks || links != .keep
    }

    /// Writes the selection into a request; pattern files are read now.
    func note(in request: inout SendRequest) throws {
        request.copiesLinks = copyLinks
        request.skipsLinks = links == .skip
        request.excludes = exclude
        request.includes = include
        request.excludeFiles = try excludeFrom.map { Array(try Self.text(of: $0).utf8) }
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
        defaultAsFlag: "24h",
        parsing: .next,
        help: ArgumentHelp(
            "How long to wait for a tunnel, as 30s, 10m or 24h; 0 is not at all.",
            discussion: """
                A send goes on by itself when the tunnel is back: for up to 24h without this option. With it the send also \
                waits for the first contact; alone it means 24h.
                """,
            valueName: "duration"
        )
    )
    var wait: String?

    @Option(
        help: ArgumentHelp(
            "Send at most so much a second, in KiB, or with K, M or G, as 800K or 1.5M.",
            valueName: "rate"
        )
    )
    var bwlimit: String?

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
        guard bwlimit == nil || rate != nil else {
            throw ValidationError("--bwlimit takes a number of KiB a second, or one with K, M or G, as 800K or 1.5M")
        }
        guard compress == "auto" || Compression(parsing: compress) != nil else {
            throw ValidationError("--compress takes auto, none, zlib, zlib:1 to zlib:9, zstd, or zstd:-7 to zstd:22")
        }
    }

    /// How long a broken send waits for a tunnel.
    var patience: Duration { wait.flatMap(Self.duration) ?? .seconds(86_400) }

    /// How long the first contact may take.
    var firstPatience: Duration { wait.flatMap(Self.duration) ?? .zero }

    /// The word behind `--wait` where it is no duration: then it is an argument like any other, and `--wait` stands alone.
    mutating func takeWordBehindWait() -> [String] {
        guard let word = wait, Self.duration(word) == nil else { return [] }
        wait = "24h"
        return [word]
    }

    static func duration(_ text: String) -> Duration? {
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

    /// What `--bwlimit` says, for all connections together.
    var rate: SendingRate? {
        bwlimit.flatMap(Self.bytesPerSecond).map { SendingRate(bytesPerSecond: $0) }
    }

    /// Bytes a second of a rate as rsync reads it: KiB unless it has a unit, units are powers of 1,024.
    static func bytesPerSecond(_ text: String) -> UInt64? {
        let units: [Character: Double] = ["k": 1_024, "m": 1_048_576, "g": 1_073_741_824]
        var digits = text.lowercased()[...]
        var factor = 1_024.0
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits.removeLast()
        }
        guard digits.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }),
            let number = Double(digits), number > 0, number * factor < 1e15
        else { return nil }
        return UInt64(number * factor)
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
