// SPDX-License-Identifier: MIT

internal import Foundation

/// A private sshd on this machine, and one `ssh -N -R` through it: the tunnel as users have it.
package final class LoopbackSSH: Sendable {
    /// The remote end of the tunnel: a socket in the server's `~/.rtun`, which `rtun` finds by itself.
    package let remoteSocket: String

    private let daemon: DaemonUnderTest
    private let folder: String
    private let tunnel: ChildProcess

    private init(daemon: DaemonUnderTest, folder: String, remoteSocket: String, tunnel: ChildProcess) {
        self.daemon = daemon
        self.folder = folder
        self.remoteSocket = remoteSocket
        self.tunnel = tunnel
    }

    /// Whether this machine has what it takes.
    package static var isAvailable: Bool {
        let places = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { String($0) }
        return ["ssh", "ssh-keygen", "sshd"].allSatisfy { program in
            (places + ["/usr/sbin", "/usr/local/sbin", "/sbin"]).contains { access("\($0)/\(program)", X_OK) == 0 }
        }
    }

    /// Starts sshd, forwards a socket on the server's side to the daemon's, and returns when it accepts connections.
    package static func start(to daemon: DaemonUnderTest) async throws -> LoopbackSSH {
        let folder = daemon.laptop + "/sshd"
        let started = try await script("start", folder)
        guard started.status == 0 else { throw TestSupportFailure("loopback-ssh: \(started)") }
        let remoteSocket = daemon.server + "/.rtun/rtun.sock.loop"
        do {
            let tunnel = try ChildProcess(
                program("ssh"),
                [
                    "-F", folder + "/ssh_config", "-N", "-o", "ExitOnForwardFailure=yes", "-R",
                    "\(remoteSocket):\(daemon.socket)", "rtun-loop",
                ],
                environment: DaemonUnderTest.environment(home: daemon.laptop)
            )
            try await tunnel.wait(until: "ssh -R listens") { SilentListener.accepts(remoteSocket) }
            return LoopbackSSH(daemon: daemon, folder: folder, remoteSocket: remoteSocket, tunnel: tunnel)
        } catch {
            _ = try await script("stop", folder)
            throw error
        }
    }

    /// Runs `rtun` on the server's side of the tunnel, through ssh; it has to find the socket by itself.
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
        timeout: Duration = .seconds(120)
    ) async throws -> RunResult {
        let variables = DaemonUnderTest.environment(home: daemon.server).map { "\($0.key)=\($0.value)" }.sorted()
        let words = ["env"] + variables + [try BuiltBinary.path()] + arguments
        let line = "cd \(Self.quoted(folder ?? daemon.server)) && exec \(words.map(Self.quoted).joined(separator: " "))"
        return try await ChildProcess.run(
            Self.program("ssh"),
            ["-F", self.folder + "/ssh_config", "rtun-loop", line],
            environment: DaemonUnderTest.environment(home: daemon.laptop),
            input: input,
            timeout: timeout
        )
    }

    /// Ends the tunnel and sshd.
    package func stop() async throws {
        tunnel.signal(SIGTERM)
        _ = await tunnel.wait(timeout: .seconds(20))
        let stopped = try await Self.script("stop", folder)
        guard stopped.status == 0 else { throw TestSupportFailure("loopback-ssh: \(stopped)") }
    }

    /// Runs `work` with an sshd alone, whose configuration begins with `lines`; it gets the path of the client's
    /// configuration, in which the host is `rtun-loop`.
    package static func withServer(
        in folder: String,
        _ lines: [String],
        _ work: (_ configuration: String) async throws -> Void
    ) async throws {
        let started = try await script("start", folder, lines)
        guard started.status == 0 else { throw TestSupportFailure("loopback-ssh: \(started)") }
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await work(folder + "/ssh_config"))
        } catch {
            outcome = .failure(error)
        }
        _ = try await script("stop", folder)
        try outcome.get()
    }

    private static func script(_ verb: String, _ folder: String, _ lines: [String] = []) async throws -> RunResult {
        try await ChildProcess.run(
            FixtureLocation.script("loopback-ssh"),
            [verb, folder] + lines,
            environment: DaemonUnderTest.environment(home: NSHomeDirectory())
        )
    }

    /// A word as the remote shell reads it back.
    private static func quoted(_ word: String) -> String {
        "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }

    private static func program(_ name: String) -> String {
        let places = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return places.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 } ?? "/usr/bin/\(name)"
    }
}
