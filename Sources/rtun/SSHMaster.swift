// SPDX-License-Identifier: MIT

import Codecs
import Descriptors
import NIOCore
import Transfer

/// One authenticated connection to a host, through which everything else goes: the user is asked once.
///
/// ssh(1) calls it a master. It ends by itself a few seconds after the last who used it, so also a killed `rtun ssh`
/// leaves nothing behind.
final class SSHMaster: Sendable {
    /// ssh ended before there was a connection; it has told the user why.
    struct NoConnection: Error {
        let status: Int32
    }

    /// Seconds for a script: a home on a slow file system, start-up files that take their time.
    static let scriptSeconds: Int64 = 90
    private static let controlSeconds: Int64 = 20
    private static let longestControlPath = UnixAddress.longestPath - 17

    private let program: Program
    private let arguments: SSHArguments
    /// The control socket of our own master; nil where the user's own is used.
    private let control: UnixAddress?

    private init(_ program: Program, _ arguments: SSHArguments, control: UnixAddress?) {
        self.program = program
        self.arguments = arguments
        self.control = control
    }

    /// Connects, or joins the master that the user has running for this host unless `alwaysOwn`.
    ///
    /// Whatever has to be asked or said, ssh does on the terminal.
    static func open(
        _ program: Program,
        _ arguments: SSHArguments,
        in state: StateFolder,
        alwaysOwn: Bool,
        lives: Lifetime = .withUs,
        signals: SignalRelay
    ) async throws -> SSHMaster {
        let users = SSHMaster(program, arguments, control: nil)
        if !alwaysOwn, try await users.isAlive() { return users }
        let path = try controlPath(in: state)
        let master = SSHMaster(program, arguments, control: try UnixAddress(path: path))
        let options = [
            "-o", "ControlPersist=\(lives.setting)", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none",
        ]
        // Behind the user's own, which win.
        let defaults =
            ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]
            + (try await CipherOrder.options(program, arguments))
        let status = try await program.run(
            options + arguments.words(without: "DLMNRSTWfnst") + defaults
                + ["-M", "-N", "-n", "-f", "-S", path.replacing("%", with: "%%"), "--", arguments.destination],
            signals: signals
        )
        guard status == 0 else { throw NoConnection(status: status) }
        return master
    }

    /// How long our own master stays.
    enum Lifetime {
        /// A few seconds longer than the last who uses it.
        case withUs
        /// Until the connection breaks or it is told to end.
        case forever

        fileprivate var setting: String {
            switch self {
            case .withUs: "5"
            case .forever: "yes"
            }
        }
    }

    var isOwn: Bool { control != nil }

    /// Runs a script on the server, for at most `seconds`.
    func run(_ script: RemoteScript, within seconds: Int64 = scriptSeconds) async throws -> RemoteReply {
        let outcome = try await session(
            RemoteScript.command,
            input: .bytes(Array(script.text.utf8)),
            within: seconds
        )
        return RemoteReply(outcome.output, mark: script.mark)
    }

    /// Runs a command on the server and reads what it says.
    func session(_ command: String, input: consuming Program.Input, within seconds: Int64) async throws
        -> Program.Outcome
    {
        try await program.capture(
            innerOptions + ["-T", "--", arguments.destination, command],
            input: input,
            within: seconds
        )
    }

    /// Asks the server to listen at `remote` and to bring what connects there to `local`; false with ssh's own words
    /// where it refuses.
    func forward(_ remote: String, to local: String) async throws -> Program.Outcome {
        try await control("forward", ["-R", "\(remote):\(local)"])
    }

    /// Ends the forwarding.
    func cancel(_ remote: String, to local: String) async throws {
        _ = try await control("cancel", ["-R", "\(remote):\(local)"])
    }

    /// Ends our own master; the user's stays.
    func close() async {
        guard isOwn else { return }
        _ = try? await control("exit", [])
    }

    func isAlive() async throws -> Bool {
        try await control("check", []).status == 0
    }

    /// ssh's arguments before the host for a session through this connection.
    var sessionOptions: [String] {
        let own = control.map { ["-S", $0.path.replacing("%", with: "%%")] } ?? []
        return ["-o", "ControlMaster=no", "-o", "RemoteCommand=none"] + arguments.words(without: isOwn ? "MS" : "M")
            + own
    }

    /// Keeps our own master in use, and tells when it ends; nil for the user's.
    func lifeline() async throws -> Lifeline? {
        guard let control else { return nil }
        return Lifeline(try await SocketConnection.adopting(UnixSocket.connect(to: control), on: Client.group))
    }

    /// What leads through the master and nowhere else: ssh would make a connection of its own where that fails.
    private var innerOptions: [String] {
        guard let control else { return ["-o", "ControlMaster=no"] + arguments.words(without: "DLMNRTWfnstEv") }
        return [
            "-F", "/dev/null", "-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-S",
            control.path.replacing("%", with: "%%"),
        ]
    }

    private func control(_ command: String, _ options: [String]) async throws -> Program.Outcome {
        try await program.capture(
            innerOptions + ["-O", command] + options + ["--", arguments.destination],
            within: Self.controlSeconds
        )
    }

    /// A path short enough for ssh, which adds 17 bytes while it binds.
    private static func controlPath(in state: StateFolder) throws -> String {
        let name = "ssh." + (RandomWord.make(bytes: 4))
        let usual = state.path + "/" + name
        if usual.utf8.count <= longestControlPath { return usual }
        let short = "rtun-\(ProcessContext.effectiveUserID)"
        let folder = try Directory.open("/tmp").openOrMakeDirectory(short)
        let status = try folder.status()
        guard status.owner == ProcessContext.effectiveUserID, status.mode & 0o077 == 0 else {
            throw LaptopDaemon.Fault(description: "/tmp/\(short) is not yours alone; set a shorter RTUN_DIR")
        }
        return "/tmp/\(short)/\(name)"
    }
}

/// An open connection to a master's control socket: while it is there the master counts as used, and it ends with it.
struct Lifeline: Sendable {
    private let connection: SocketConnection

    fileprivate init(_ connection: SocketConnection) { self.connection = connection }

    /// Waits for the end of the master, or of the task.
    func wait() async {
        await withTaskCancellationHandler {
            // The master greets and then says nothing.
            while let bytes = try? await connection.receive(), bytes.readableBytes >= 0 {}
        } onCancel: {
            connection.close()
        }
    }

    func close() { connection.close() }
}

/// Words that nobody can foresee.
enum RandomWord {
    /// Twice as many hexadecimal digits.
    static func make(bytes: Int) -> String {
        RandomBytes.make(bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
