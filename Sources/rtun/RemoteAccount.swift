// SPDX-License-Identifier: MIT

/// What the server said about itself and the user's account there, in answer to `RemoteScript.prepare`.
///
/// None of it is trusted: it decides what is sent back to the same server, and what the user is told.
struct RemoteAccount: Equatable {
    /// A program named rtun that is there already.
    struct Program: Equatable {
        let path: String
        /// nil where it does not answer like this tool: then it is somebody else's.
        let version: ToolVersion?
    }

    /// `uname -s` and `uname -m`.
    var system = ""
    var machine = ""
    var host = ""
    var user: UInt32 = 0
    var home = ""
    var shell = ""
    /// The state folder, if it can be used.
    var state: String?
    /// Where the tunnel's socket can be made; nil where no folder serves.
    var socket: String?
    /// Those in PATH first.
    var programs: [Program] = []

    /// Reads an answer; nil where it is not whole, as when the login shell never came to run the script.
    init?(_ reply: RemoteReply) {
        guard reply.isWhole else { return nil }
        for (key, value) in reply.lines {
            switch key {
            case "system":
                let words = value.split(separator: " ", maxSplits: 1).map(String.init)
                guard words.count == 2 else { return nil }
                (system, machine) = (words[0], words[1])
            case "host": host = value
            case "user": user = UInt32(value) ?? .max
            case "home": home = value
            case "shell": shell = value
            case "state": state = value
            case "socket":
                // ssh reads `:`, `%` and `$` in a forwarding, and a shell the rest.
                if Self.isForwardable(value) { socket = value }
            case "program":
                let words = value.split(separator: " ", maxSplits: 1).map(String.init)
                guard words.count == 2, words[1].hasPrefix("/"), RemoteScript.isQuotable(words[1]) else { continue }
                programs.append(Program(path: words[1], version: ToolVersion(words[0])))
            default: continue
            }
        }
        guard home.hasPrefix("/"), RemoteScript.isQuotable(home), RemoteScript.isQuotable(shell) else { return nil }
    }

    /// What is to be done about the program on the server.
    enum Supply: Equatable {
        /// The one at this path serves.
        case use(String)
        /// None does; these are the places for one, best first.
        case install([String])
    }

    /// An equal or newer version serves; what is not this tool is left alone and passed by.
    func supply(for version: ToolVersion) -> Supply {
        if let program = programs.first(where: { $0.version.map { $0 >= version } ?? false }) {
            return .use(program.path)
        }
        let usual = home + "/.local/bin/rtun"
        var places = programs.contains { $0.path == usual && $0.version == nil } ? [] : [usual]
        if let state { places.append(state + "/bin/rtun") }
        places.append("/tmp/rtun-\(user)/bin/rtun")
        return .install(places.filter { RemoteScript.isQuotable($0) })
    }

    /// Whether a path can stand in ssh's `-R` as it is.
    static func isForwardable(_ path: String) -> Bool {
        path.hasPrefix("/") && RemoteScript.isQuotable(path)
            && path.utf8.allSatisfy { !":%$ \"".utf8.contains($0) && $0 < 0x80 }
    }
}

/// The lines of an answer that carry its mark.
struct RemoteReply: Equatable {
    let lines: [(key: String, value: String)]
    /// Whether begin and end are there.
    let isWhole: Bool
    /// What else was said, for messages.
    let noise: [String]

    init(_ output: [UInt8], mark: String) {
        var lines: [(key: String, value: String)] = []
        var noise: [String] = []
        for line in output.split(separator: UInt8(ascii: "\n")) {
            var text = String(decoding: line, as: UTF8.self)
            if text.hasSuffix("\r") { text.removeLast() }
            guard text.hasPrefix(mark + " ") else {
                noise.append(text)
                continue
            }
            let words = text.dropFirst(mark.count + 1).split(separator: " ", maxSplits: 1).map(String.init)
            if let key = words.first { lines.append((key, words.count > 1 ? words[1] : "")) }
        }
        self.lines = lines
        self.noise = noise
        isWhole = lines.first?.key == "begin" && lines.last?.key == "end"
    }

    func value(of key: String) -> String? { lines.first { $0.key == key }?.value }

    static func == (left: Self, right: Self) -> Bool {
        left.isWhole == right.isWhole && left.noise == right.noise
            && left.lines.map { [$0.key, $0.value] } == right.lines.map { [$0.key, $0.value] }
    }
}

/// A version of this tool as `--version` says it: three numbers.
struct ToolVersion: Comparable, CustomStringConvertible {
    /// Older than every other.
    static let none = ToolVersion(numbers: [0, 0, 0])

    private let numbers: [UInt32]

    private init(numbers: [UInt32]) { self.numbers = numbers }

    /// `1.2.3`; what follows a `-` or `+` is not compared.
    init?(_ text: String) {
        let parts = text.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { UInt32($0) }
        guard numbers.count == 3, parts.count == 3 else { return nil }
        self.numbers = numbers
    }

    var description: String { numbers.map(String.init).joined(separator: ".") }

    static func < (left: Self, right: Self) -> Bool { left.numbers.lexicographicallyPrecedes(right.numbers) }
}
