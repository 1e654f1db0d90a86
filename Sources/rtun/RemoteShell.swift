// SPDX-License-Identifier: MIT

/// The command line that opens the user's shell on the server, or runs a command there, with the tunnel known.
///
/// The user's login shell reads it, so it is written in that shell's language.
struct RemoteShell: Equatable {
    private enum Language { case posix, csh, fish }

    /// Path of the login shell.
    let path: String
    let socket: String
    /// Folder of the program, to be in PATH; nil where there is none.
    let programFolder: String?
    /// Whether it goes before the rest: where PATH holds another program of this name.
    let isFirst: Bool
    /// Instead of `~/.rtun` where the home cannot be written.
    let stateFolder: String?

    /// Runs the command, or opens a login shell where there is none.
    func commandLine(running command: [String]) -> String {
        let start = variables.map(assignment) + (programFolder.map { [pathExtension($0)] } ?? [])
        return (start + [command.isEmpty ? login : command.joined(separator: " ")]).joined(separator: "; ")
    }

    private var variables: [(name: String, value: String)] {
        [("RTUN_SOCK", socket)] + (stateFolder.map { [("RTUN_DIR", $0)] } ?? [])
    }

    private var name: Substring { path.split(separator: "/").last ?? "sh" }

    private var language: Language {
        switch name {
        case "csh", "tcsh": .csh
        case "fish": .fish
        default: .posix
        }
    }

    private func assignment(_ name: String, _ value: String) -> String {
        switch language {
        case .posix: "\(name)=\(RemoteScript.quoted(value)); export \(name)"
        case .csh: "setenv \(name) \(RemoteScript.quoted(value))"
        case .fish: "set -gx \(name) \(RemoteScript.quoted(value))"
        }
    }

    private func pathExtension(_ folder: String) -> String {
        let folder = RemoteScript.quoted(folder)
        return switch language {
        case .posix: posixExtension(folder) + "; export PATH"
        case .csh: isFirst ? "setenv PATH \(folder):\"$PATH\"" : "setenv PATH \"$PATH\":\(folder)"
        case .fish: isFirst ? "set -gx PATH \(folder) $PATH" : "set -gx PATH $PATH \(folder)"
        }
    }

    private func posixExtension(_ folder: String) -> String {
        let made = isFirst ? "\(folder):\"$PATH\"" : "\"$PATH\":\(folder)"
        return "case \":$PATH:\" in *:\(folder):*) ;; *) PATH=\(made) ;; esac"
    }

    /// Opens a login shell.
    ///
    /// `/etc/profile` may set PATH anew: then bash extends it once more at its first prompt, and other shells by starting
    /// again behind it.
    private var login: String {
        let shell = RemoteScript.quoted(path.isEmpty ? "/bin/sh" : path)
        let plain = "exec \(shell) -l"
        guard language == .posix, name != "zsh", let programFolder, RemoteAccount.isForwardable(programFolder),
            RemoteAccount.isForwardable(path)
        else { return plain }
        let made = isFirst ? "\(programFolder):$PATH" : "$PATH:\(programFolder)"
        let again = "case :$PATH: in *:\(programFolder):*) ;; *) PATH=\(made) ;; esac"
        let restarted = "exec \(shell) -l -c '\(again); export PATH; exec \(path)'"
        guard name == "bash" else { return restarted }
        return """
            if [ -t 0 ]; then PROMPT_COMMAND='\(again); export -n PROMPT_COMMAND'; export PROMPT_COMMAND; \(plain); fi; \
            \(restarted)
            """
    }
}
