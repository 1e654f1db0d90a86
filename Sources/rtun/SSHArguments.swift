// SPDX-License-Identifier: MIT

/// What was typed behind `rtun ssh`, understood as ssh(1) understands it.
///
/// ssh takes options before and behind the host, several in one word, and everything from the first other word on is
/// the command. Long options are rtun's own: ssh has none.
struct SSHArguments: Equatable {
    /// One option of ssh with its value, if it takes one.
    struct Option: Equatable {
        let letter: Character
        let value: String?

        var words: [String] { ["-\(letter)"] + (value.map { [$0] } ?? []) }
    }

    /// What does not make sense, in a sentence.
    struct Mistake: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    private(set) var options: [Option] = []
    /// The host as it was typed: an alias, `user@host`, or `ssh://user@host:port`.
    private(set) var destination = ""
    private(set) var command: [String] = []
    /// `--keep`: no shell, and the tunnel comes back after every break.
    private(set) var isKept = false
    /// `--no-install`: the server's programs are left as they are.
    private(set) var installs = true
    /// `--label`: what the laptop calls the host, if not by its alias.
    private(set) var label: String?
    private(set) var wantsHelp = false

    /// ssh's options that take a value: getopt's string in `ssh.c` of OpenSSH 10.
    private static let valued: Set<Character> = Set("BbcDEeFIiJLlmOoPpQRSWw")
    private static let flags: Set<Character> = Set("1246AaCfGgKkMNnqsTtVvXxYy")

    init(_ words: [String]) throws(Mistake) {
        var rest = words[...]
        var isBehindDashes = false
        while let word = rest.first {
            if isBehindDashes || !word.hasPrefix("-") || word == "-" {
                guard destination.isEmpty else { break }
                destination = word
                rest.removeFirst()
                // "ssh -- host -x": what follows is the command, whatever it looks like.
                if isBehindDashes { break }
                continue
            }
            rest.removeFirst()
            if word == "--" {
                isBehindDashes = true
                if !destination.isEmpty { break }
            } else if word.hasPrefix("--") {
                try takeOwn(word, &rest)
            } else {
                try takeCluster(word.dropFirst(), &rest)
            }
        }
        command = Array(rest)
        if wantsHelp { return }
        guard !destination.isEmpty || isOnlyAsking else { throw Mistake(description: "which host?") }
        guard !isKept || (command.isEmpty && !has("f") && !has("t")) else {
            throw Mistake(description: "--keep only holds the tunnel: it takes no command, -f or -t")
        }
    }

    private mutating func takeOwn(_ word: String, _ rest: inout ArraySlice<String>) throws(Mistake) {
        switch word {
        case "--keep": isKept = true
        case "--no-install": installs = false
        case "--help": wantsHelp = true
        case "--label":
            guard let value = rest.popFirst() else { throw Mistake(description: "--label takes a name") }
            label = value
        case _ where word.hasPrefix("--label="): label = String(word.dropFirst("--label=".count))
        default: throw Mistake(description: "there is no option \(word); ssh's own have one letter")
        }
    }

    private mutating func takeCluster(_ letters: Substring, _ rest: inout ArraySlice<String>) throws(Mistake) {
        var letters = letters
        while let letter = letters.popFirst() {
            if Self.flags.contains(letter) {
                options.append(Option(letter: letter, value: nil))
            } else if Self.valued.contains(letter) {
                let value = letters.isEmpty ? rest.popFirst() : String(letters)
                guard let value else { throw Mistake(description: "ssh's option -\(letter) takes a value") }
                options.append(Option(letter: letter, value: value))
                return
            } else {
                throw Mistake(description: "ssh has no option -\(letter)")
            }
        }
    }

    func has(_ letter: Character) -> Bool { options.contains { $0.letter == letter } }

    /// ssh's own business, in which no tunnel is wanted: questions, control commands, stdio forwards, subsystems.
    var isPlain: Bool { isOnlyAsking || "OWs".contains { has($0) } }

    private var isOnlyAsking: Bool { "GQV".contains { has($0) } }

    /// The user forbids a shared connection (`-S none`, `-o ControlPath=none`).
    var forbidsSharing: Bool {
        options.contains { option in
            switch option.letter {
            case "S": option.value == "none"
            case "o": Self.setting(option.value ?? "") == ("controlpath", "none")
            default: false
            }
        }
    }

    /// The user has said which cipher to use (`-c`, `-o Ciphers=…`).
    var choosesCiphers: Bool {
        options.contains { $0.letter == "c" || $0.letter == "o" && Self.setting($0.value ?? "").0 == "ciphers" }
    }

    /// The words of the options whose letters are not among `left`.
    func words(without left: String) -> [String] {
        options.filter { !left.contains($0.letter) }.flatMap { $0.words }
    }

    /// `Name=value` or `Name value`, in small letters.
    private static func setting(_ text: String) -> (String, String) {
        let separators = "= \t"
        let name = text.prefix { !separators.contains($0) }
        let value = text.dropFirst(name.count).drop { separators.contains($0) }
        return (name.lowercased(), value.lowercased())
    }
}
