// SPDX-License-Identifier: MIT

internal import Foundation

/// A laptop daemon in the foreground with a home of its own, and the home of a server beside it.
package final class DaemonUnderTest: Sendable {
    /// The laptop's home folder.
    package let laptop: String
    /// The server's home folder.
    package let server: String
    /// Where sends arrive.
    package let inbox: String
    /// The socket on which the daemon listens.
    package let socket: String
    /// What the daemon opens and shows.
    package let desktop: RecordingDesktop

    private let scratch: ScratchFolder
    private let process: ChildProcess

    private init(
        scratch: ScratchFolder,
        laptop: String,
        server: String,
        inbox: String,
        desktop: RecordingDesktop,
        process: ChildProcess
    ) {
        self.scratch = scratch
        self.laptop = laptop
        self.server = server
        self.inbox = inbox
        self.desktop = desktop
        self.process = process
        socket = laptop + "/.rtun/rtun.sock"
    }

    /// Starts `rtun server`, and returns when it says that it listens.
    ///
    /// - Parameters:
    ///   - arguments: more arguments for `rtun server`.
    ///   - configuration: what its `config.toml` says; none if nil.
    ///   - launcher: a program and its arguments that becomes the daemon, such as setpriv(1).
    ///   - user: to whom both homes belong; this process's user if nil.
    /// - Returns: the daemon.
    /// - Throws: `TestSupportFailure` when it ends, or does not listen within 20 s.
    package static func start(
        _ arguments: [String] = [],
        configuration: String? = nil,
        under launcher: [String] = [],
        ownedBy user: UInt32? = nil
    ) async throws -> DaemonUnderTest {
        try await start(arguments, configuration, in: ScratchFolder("e2e"), under: launcher, ownedBy: user)
    }

    /// Starts another daemon in the same homes, when this one has ended.
    package func startAgain(_ arguments: [String] = []) async throws -> DaemonUnderTest {
        try await Self.start(arguments, nil, in: scratch)
    }

    private static func start(
        _ arguments: [String],
        _ configuration: String?,
        in scratch: ScratchFolder,
        under launcher: [String] = [],
        ownedBy user: UInt32? = nil
    ) async throws -> DaemonUnderTest {
        let laptop = scratch.path + "/laptop"
        let server = scratch.path + "/server"
        let inbox = laptop + "/inbox"
        for folder in [laptop, server, laptop + "/.rtun", server + "/.rtun", inbox] {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        }
        // On a machine whose disk is nearly full every send would be refused by the free space that has to stay.
        if !FileManager.default.fileExists(atPath: laptop + "/.config") {
            try configure(configuration ?? "[limits]\nfloor = 0\n", home: laptop)
        }
        let desktop = try RecordingDesktop(folder: scratch.path + "/bin")
        if let user {
            for path in [scratch.path] + TreeMaker.everything(below: scratch.path) {
                guard lchown(path, user, user) == 0 else { throw TestSupportFailure("chown \(path): errno \(errno)") }
            }
        }
        let command = launcher + [try BuiltBinary.path(), "server", "-D", inbox] + arguments
        let process = try ChildProcess(
            command[0],
            Array(command.dropFirst()),
            environment: environment(home: laptop, firstInPath: desktop.folder),
            folder: laptop
        )
        try await process.wait(until: "the daemon listens") { process.standardError.contains("listening on ") }
        return DaemonUnderTest(
            scratch: scratch,
            laptop: laptop,
            server: server,
            inbox: inbox,
            desktop: desktop,
            process: process
        )
    }

    /// Replaces the laptop's `config.toml`, which the daemon reads again when it is told to.
    package func configure(_ text: String) throws { try Self.configure(text, home: laptop) }

    private static func configure(_ text: String, home: String) throws {
        let folder = home + "/.config/rtun"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/config.toml"), options: .atomic)
    }

    /// Sends the daemon SIGHUP: it reads its configuration again.
    package func reload() { process.signal(SIGHUP) }

    /// The socket of a label, which the daemon makes on this request if it is not there.
    package func labelSocket(_ label: String) throws -> String {
        let answer = try RawPeer.ask("LABEL \(label)", at: laptop + "/.rtun/ctl.sock")
        guard answer.hasPrefix("OK /"), answer.hasSuffix("\r\n") else { throw TestSupportFailure(answer) }
        return String(answer.dropFirst(3).dropLast(1))
    }

    /// The text of the daemon's log.
    package var log: String {
        (try? String(contentsOfFile: laptop + "/.rtun/rtun.log", encoding: .utf8)) ?? ""
    }

    /// The environment of a process with this home folder, and nothing from the machine but `PATH`.
    package static func environment(home: String, firstInPath folder: String? = nil) -> [String: String] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return [
            "HOME": home,
            "RTUN_DIR": home + "/.rtun",
            "PATH": folder.map { "\($0):\(path)" } ?? path,
            "LANG": "C.UTF-8",
            "SWIFT_BACKTRACE": "enable=no",
        ]
    }

    /// The environment of a process on the server's side that finds the daemon's socket directly.
    package var serverEnvironment: [String: String] {
        var environment = Self.environment(home: server)
        environment["RTUN_SOCK"] = socket
        return environment
    }

    /// Runs `rtun` on the server's side, on the daemon's socket itself.
    ///
    /// - Parameters:
    ///   - arguments: the command and its arguments.
    ///   - folder: where it runs; the server's home if nil.
    ///   - input: what it reads.
    ///   - timeout: when it is killed.
    /// - Returns: how it ended, and all that it said.
    /// - Throws: `TestSupportFailure` when it cannot be started.
    package func rtun(
        _ arguments: String...,
        folder: String? = nil,
        input: ChildProcess.Input = .nothing,
        timeout: Duration = .seconds(60)
    ) async throws -> RunResult {
        try await BuiltBinary.run(
            arguments,
            environment: serverEnvironment,
            folder: folder ?? server,
            input: input,
            timeout: timeout
        )
    }

    /// Ends the daemon as an init system would (SIGTERM).
    ///
    /// - Throws: `TestSupportFailure` unless it exits with 0 within 20 s.
    package func stop() async throws {
        process.signal(SIGTERM)
        let result = await process.wait(timeout: .seconds(20))
        guard result.status == 0 else {
            throw TestSupportFailure("the daemon did not end well on SIGTERM: \(result)")
        }
    }

    /// What the daemon has said so far.
    package var messages: String { process.standardError }

    /// The most memory that the daemon has held so far, in bytes (Linux; 0 elsewhere).
    package var peakMemory: Int { process.peakMemory }

    /// The process number of the daemon.
    package var identifier: Int32 { process.identifier }

    /// The processes that the daemon's supervisor has started and that still run (Linux; empty elsewhere).
    package var children: [Int32] {
        let path = "/proc/\(identifier)/task"
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return tasks.flatMap { task in
            let text = (try? String(contentsOfFile: "\(path)/\(task)/children", encoding: .utf8)) ?? ""
            return text.split(separator: " ").compactMap { Int32($0) }
        }
    }
}
