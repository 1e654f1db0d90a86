// SPDX-License-Identifier: MIT

/// The POSIX shell scripts that `rtun ssh` runs on the server.
///
/// A script travels over standard input to `sh -s`, so that any login shell can start it. Each line meant for the
/// laptop begins with `mark`, a random word: what start-up files print cannot be taken for one. Nothing in a script is
/// secret. Words are put in by `quoted`, and only there.
struct RemoteScript: Equatable {
    let mark: String
    let text: String

    /// What the login shell runs; every shell reads it alike.
    static let command = "exec /bin/sh -s"

    /// Where the tunnel's socket may lie.
    enum Place { case home, temporary }

    /// Describes the account, and makes the folder for a socket named `rtun.sock.HOST.SUFFIX`.
    static func prepare(mark: String, suffix: String, in places: [Place]) -> RemoteScript {
        let folders = places.map { $0 == .home ? "\"$state\"" : "\"/tmp/rtun-$uid\"" }.joined(separator: " ")
        return RemoteScript(
            mark: mark,
            body: """
                umask 077
                uid=$(id -u)
                host=$(uname -n)
                state=${RTUN_DIR:-$HOME/.rtun}
                set -- $(uname -s -m)
                say system "$1" "$2"
                say host "$host"
                say user "$uid"
                say home "$HOME"
                say shell "$SHELL"
                usable() {
                    case $1 in /*) ;; *) return 1 ;; esac
                    [ -d "$1" ] || mkdir -m 700 "$1" 2>/dev/null || return 1
                    [ ! -L "$1" ] && [ -O "$1" ] && chmod 700 "$1" 2>/dev/null || return 1
                    mkdir "$1/.probe.$$" 2>/dev/null && rmdir "$1/.probe.$$"
                }
                for folder in \(folders); do
                    path=$folder/rtun.sock.$host.\(suffix)
                    usable "$folder" || continue
                    [ "$folder" = "$state" ] && say state "$folder"
                    [ ${#path} -le \(longestSocketPath) ] || continue
                    say socket "$path"
                    break
                done
                look() {
                    [ -f "$1" ] && [ -x "$1" ] || return 0
                    version=$("$1" --version 2>/dev/null </dev/null)
                    case $version in *[!0-9A-Za-z.+-]* | '') version=- ;; esac
                    say program "$version" "$1"
                }
                found=$(command -v rtun 2>/dev/null)
                case $found in /*) look "$found" ;; esac
                for file in "$HOME/.local/bin/rtun" "$state/bin/rtun" "/tmp/rtun-$uid/bin/rtun"; do
                    [ "$file" = "$found" ] || look "$file"
                done
                """
        )
    }

    /// Asks the laptop through the tunnel, then clears dead sockets away and sends on what is queued, in background.
    static func verify(mark: String, program: String, socket: String) -> RemoteScript {
        RemoteScript(
            mark: mark,
            body: """
                RTUN_SOCK=\(quoted(socket))
                export RTUN_SOCK
                rtun=\(quoted(program))
                if answer=$("$rtun" ping -s "$RTUN_SOCK" 2>&1 </dev/null); then say ping ok; else say ping failed; fi
                { "$rtun" sweep; exec nohup "$rtun" flush; } </dev/null >/dev/null 2>&1 &
                """
        )
    }

    /// Removes the socket that was made for this tunnel, and no other.
    static func remove(mark: String, socket: String) -> RemoteScript {
        RemoteScript(mark: mark, body: "[ -S \(quoted(socket)) ] && rm -f \(quoted(socket))")
    }

    /// The command that puts a program in its place from standard input: whole or not at all, and proved to run.
    ///
    /// Says `MARK VERSION` at the end.
    static func install(mark: String, at path: String) -> String {
        // Read by the login shell first: no apostrophe, exclamation mark, backslash or line break inside.
        let body = """
            umask 022; new=$1.new.$$; mkdir -p "${1%/*}" && cat >"$new" && chmod 755 "$new" && \
            version=$("$new" --version </dev/null) && mv -f "$new" "$1" && echo "$0 installed $version" && exit 0; \
            rm -f "$new"; exit 1
            """
        return "exec /bin/sh -c '\(body)' \(mark) \(quoted(path))"
    }

    /// The command for a single connection, whose standard input is the user's: takes up the tunnel that came with it,
    /// runs the command or a login shell, and removes the socket.
    static func alone(socket: String, command: [String]) -> String {
        let words = command.joined(separator: " ")
        let run = command.isEmpty ? "\"$SHELL\" -l" : "\"$SHELL\" -c '\(words.replacing("'", with: "'\\''"))'"
        let script = """
            socket=\(quoted(socket))
            mkdir -m 700 "$HOME/.rtun" 2>/dev/null
            for folder in "$HOME/.local/bin" "$HOME/.rtun/bin"; do
                if [ -x "$folder/rtun" ]; then PATH=$PATH:$folder; fi
            done
            if [ -S "$socket" ]; then
                RTUN_SOCK=$socket
                export RTUN_SOCK PATH
            else
                echo 'rtun: the server does not forward sockets; there is no tunnel' >&2
            fi
            trap 'rm -f "$socket"' HUP TERM
            \(run)
            code=$?
            rm -f "$socket"
            exit $code
            """
        // In octal numbers, which no login shell can misread.
        let encoded = script.utf8.map { "\\0" + octal($0) }.joined()
        return "exec /bin/sh -c 'eval \"$(printf %b \"$0\")\"' '\(encoded)'"
    }

    private static func octal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 8)
        return String(repeating: "0", count: 3 - digits.count) + digits
    }

    private init(mark: String, body: String) {
        self.mark = mark
        // A function: nothing runs before the shell has read everything.
        text = """
            rtun_script() {
            say() { printf '%s %s\\n' \(mark) "$*"; }
            printf '\\n'
            say begin
            \(body)
            say end
            }
            rtun_script
            exit 0

            """
    }

    private static let longestSocketPath = 103

    /// A word in apostrophes, as every shell reads it back; the word holds no apostrophe, line break, `!` or backslash
    /// (`RemoteAccount` takes no path that does).
    static func quoted(_ word: String) -> String {
        precondition(isQuotable(word), "a word that not every shell reads alike")
        return "'\(word)'"
    }

    static func isQuotable(_ word: String) -> Bool {
        word.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 && !"'!\\".unicodeScalars.contains($0) }
    }
}
