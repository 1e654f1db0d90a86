// SPDX-License-Identifier: MIT

import Descriptors
import RTunDaemon
import Transfer

/// A tunnel that `rtun ssh` made: the server's account is prepared, and its socket leads to the daemon here.
struct Tunnel {
    let master: SSHMaster
    let account: RemoteAccount
    /// The socket on the server; nil where none could be made.
    let remote: String?
    let local: UnixAddress
    /// The program on the server; nil where there is none that runs.
    let program: String?

    /// Seconds for tidying up: the connection may hang, and the user wants to go.
    private static let farewellSeconds: Int64 = 5

    /// What the user is told while it is made.
    typealias Note = (String) -> Void

    /// Prepares the account and brings the tunnel up; what is only missing is told, and the rest goes on.
    ///
    /// nil where no script runs through this connection, as on a server that allows no second session.
    static func make(
        through master: SSHMaster,
        to local: UnixAddress,
        installs: Bool,
        note: Note
    ) async throws -> Tunnel? {
        let suffix = RandomWord.make(bytes: 4)
        let mark = "rtun-" + RandomWord.make(bytes: 12)
        let prepared = try await master.run(.prepare(mark: mark, suffix: suffix, in: [.home, .temporary]))
        guard let account = RemoteAccount(prepared) else {
            if prepared.isWhole { note("the server's answer makes no sense to this version") }
            return nil
        }
        let program = try await supply(account, through: master, installs: installs, note: note)
        let remote = try await forward(account, suffix: suffix, through: master, to: local, note: note)
        let tunnel = Tunnel(master: master, account: account, remote: remote, local: local, program: program)
        if let remote, let program {
            let reply = try await master.run(.verify(mark: mark, program: program, socket: remote))
            if reply.value(of: "ping") != "ok" {
                note("the tunnel is there, and the laptop did not answer through it: see rtun doctor")
            }
        }
        return tunnel
    }

    /// The shell on the server, with the tunnel known to it; nil without a tunnel.
    var shell: RemoteShell? {
        guard let remote else { return nil }
        let folder = program.flatMap { path in path.lastIndex(of: "/").map { String(path[..<$0]) } }
        return RemoteShell(
            path: account.shell,
            socket: remote,
            programFolder: folder,
            isFirst: account.programs.first.map { $0.path != program } ?? false,
            stateFolder: account.state == nil ? "/tmp/rtun-\(account.user)" : nil
        )
    }

    /// Ends the forwarding and removes the socket that it made.
    func close() async {
        guard let remote else { return await master.close() }
        // What fails here has ended already.
        if !master.isOwn { try? await master.cancel(remote, to: local.path) }
        let mark = "rtun-" + RandomWord.make(bytes: 12)
        _ = try? await master.run(.remove(mark: mark, socket: remote), within: Self.farewellSeconds)
        await master.close()
    }

    // MARK: - Parts

    /// A program that serves: one that is there, or a copy of this one.
    private static func supply(
        _ account: RemoteAccount,
        through master: SSHMaster,
        installs: Bool,
        note: Note
    ) async throws -> String? {
        let places: [String]
        switch account.supply(for: RTun.toolVersion) {
        case .use(let path): return path
        case .install(let found): places = found
        }
        let older = account.programs.first { $0.version != nil }?.path
        guard installs else { return older }
        guard let bundled = BundledProgram(system: account.system, machine: account.machine) else {
            note(
                """
                there is no rtun for \(safe(account.system)) \(safe(account.machine)) here; on the server it has to be \
                installed by hand
                """
            )
            return older
        }
        note("installing rtun \(RTun.version) on the server (\(ByteFormat.size(bundled.size)))")
        var reason = ""
        for place in places {
            let mark = "rtun-" + RandomWord.make(bytes: 12)
            let outcome = try await master.session(
                RemoteScript.install(mark: mark, at: place),
                input: .file(try bundled.open()),
                within: 3_600
            )
            let reply = RemoteReply(outcome.output, mark: mark)
            if reply.value(of: "installed") == RTun.version { return place }
            reason = reply.noise.last ?? reason
        }
        note("rtun could not be installed on the server\(reason.isEmpty ? "" : ": " + safe(reason))")
        return older
    }

    /// The server's socket; nil where it makes none, and the user has been told what to do about it.
    private static func forward(
        _ account: RemoteAccount,
        suffix: String,
        through master: SSHMaster,
        to local: UnixAddress,
        note: Note
    ) async throws -> String? {
        guard RemoteAccount.isForwardable(local.path) else {
            note("ssh cannot forward \(safe(local.path)): set RTUN_DIR to a path without spaces, : % $ and quotes")
            return nil
        }
        guard let first = account.socket else {
            note("no folder on the server can hold a socket: neither ~/.rtun nor /tmp/rtun-\(account.user)")
            return nil
        }
        if try await master.forward(first, to: local.path).status == 0 { return first }
        // Some file systems hold files and no sockets.
        let mark = "rtun-" + RandomWord.make(bytes: 12)
        let again = try await master.run(.prepare(mark: mark, suffix: suffix, in: [.temporary]))
        let second = RemoteAccount(again)?.socket
        var refusal: Program.Outcome?
        if let second, second != first {
            let outcome = try await master.forward(second, to: local.path)
            if outcome.status == 0 { return second }
            refusal = outcome
        }
        note(
            """
            the server does not forward sockets\(refusal.map { ": " + safe($0.lastLine) } ?? ""); there is no tunnel
            Its administrator can set in sshd_config: AllowStreamLocalForwarding yes, AllowTcpForwarding yes, \
            DisableForwarding no; a key in authorized_keys may forbid it too: restrict, no-port-forwarding
            """
        )
        return nil
    }
}

extension Program.Outcome {
    /// What it said last.
    var lastLine: String {
        text.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
    }
}
