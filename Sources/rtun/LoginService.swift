// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Transfer

/// The daemon as a service of the user's own session: a systemd user unit, or a launchd agent on macOS.
///
/// systemd does not hold the sockets: the daemon makes one for each host while it runs, so it has to run from the login
/// on.
struct LoginService {
    /// What went wrong, in a sentence.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// The program and its arguments.
    let command: [String]
    /// Set for the daemon, where the session would give it another value.
    let environment: [(name: String, value: String)]

    #if os(macOS)
    static let fileName = "org.rtun.server.plist"
    private static let folders = ["Library", "LaunchAgents"]
    #else
    static let fileName = "rtun.service"
    private static let folders = ["systemd", "user"]
    #endif

    var text: String {
        #if os(macOS)
        agent
        #else
        unit
        #endif
    }

    /// A systemd user unit (systemd.service(5)).
    var unit: String {
        """
        [Unit]
        Description=rtun: receives what servers send

        [Service]
        ExecStart=\(command.map { Self.quoted($0, dollar: "$$") }.joined(separator: " "))
        \(environment.map { "Environment=" + Self.quoted($0.name + "=" + $0.value, dollar: "$") }.joined(separator: "\n"))
        Restart=on-failure

        [Install]
        WantedBy=default.target

        """
    }

    /// A launchd agent (launchd.plist(5)).
    var agent: String {
        let words = command.map { "        <string>\(Self.escaped($0))</string>" }.joined(separator: "\n")
        let variables = environment.map {
            "        <key>\(Self.escaped($0.name))</key>\n        <string>\(Self.escaped($0.value))</string>"
        }
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
            <plist version="1.0">
            <dict>
                <key>Label</key>
                <string>org.rtun.server</string>
                <key>ProgramArguments</key>
                <array>
            \(words)
                </array>
                <key>EnvironmentVariables</key>
                <dict>
            \(variables.joined(separator: "\n"))
                </dict>
                <key>RunAtLoad</key>
                <true/>
                <key>KeepAlive</key>
                <dict>
                    <key>SuccessfulExit</key>
                    <false/>
                </dict>
            </dict>
            </plist>

            """
    }

    /// Writes the file, replacing an older one at once, and returns its path.
    func write() throws -> String {
        guard command.allSatisfy({ $0.unicodeScalars.allSatisfy { $0.value >= 32 } }) else {
            throw Fault(description: "a path with a control character cannot stand in a service file")
        }
        let (path, folder) = try Self.folder()
        let temporary = Self.fileName + ".new"
        if try folder.statusIfPresent(temporary) != nil { try folder.removeFile(temporary) }
        try folder.makeSmallFile(temporary, Array(text.utf8))
        try folder.rename(temporary, to: Self.fileName, in: folder)
        return path + "/" + Self.fileName
    }

    /// Removes the file; false where there was none.
    static func remove() throws -> Bool {
        let (_, folder) = try folder()
        guard try folder.statusIfPresent(fileName) != nil else { return false }
        try folder.removeFile(fileName)
        return true
    }

    /// Tells the session's service manager, and returns what it said where it is not there or refuses.
    static func control(_ verb: Verb) async throws -> String? {
        for (program, arguments) in try commands(verb) {
            let outcome = try await Program(named: program).capture(arguments, within: 60)
            guard outcome.status == 0 || verb == .stop else { return outcome.lastLine }
        }
        return nil
    }

    enum Verb { case start, stop, forget }

    /// What the user can type for the same.
    static func commands(_ verb: Verb) throws -> [(String, [String])] {
        #if os(macOS)
        let domain = "gui/\(ProcessContext.effectiveUserID)"
        return switch verb {
        case .start: [("launchctl", ["bootstrap", domain, try folder().path + "/" + fileName])]
        case .stop: [("launchctl", ["bootout", domain + "/org.rtun.server"])]
        case .forget: []
        }
        #else
        return switch verb {
        case .start:
            [("systemctl", ["--user", "daemon-reload"]), ("systemctl", ["--user", "enable", "--now", fileName])]
        case .stop: [("systemctl", ["--user", "disable", "--now", fileName])]
        case .forget: [("systemctl", ["--user", "daemon-reload"])]
        }
        #endif
    }

    /// The folder of the session's services, made where it is missing.
    private static func folder() throws -> (path: String, folder: Directory) {
        guard let home = ProcessContext.environment("HOME"), home.hasPrefix("/") else {
            throw Fault(description: "HOME does not say where services are kept")
        }
        #if os(macOS)
        var path = home
        #else
        var path =
            ProcessContext.environment("XDG_CONFIG_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil } ?? home + "/.config"
        #endif
        if (try? Directory.open(path)) == nil, let slash = path.lastIndex(of: "/") {
            try Directory.open(String(path[..<slash])).makeDirectory(String(path[path.index(after: slash)...]))
        }
        var folder = try Directory.open(path)
        for name in folders {
            folder = try folder.openOrMakeDirectory(name)
            path += "/" + name
        }
        return (path, folder)
    }

    /// A word as systemd reads it back: in quotes; a command's `$` is doubled, an assignment's is not.
    private static func quoted(_ word: String, dollar: String) -> String {
        var result = ""
        for character in word {
            switch character {
            case "\\", "\"": result += "\\\(character)"
            case "%": result += "%%"
            case "$": result += dollar
            default: result.append(character)
            }
        }
        return "\"\(result)\""
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
