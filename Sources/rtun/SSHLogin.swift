// SPDX-License-Identifier: MIT

import Descriptors
import RTunDaemon
import Transfer

/// One run of `rtun ssh`, from the daemon to the last tidying up.
struct SSHLogin {
    let ssh: Program
    let arguments: SSHArguments
    let label: HostLabel

    /// Returns the exit code: that of ssh, or 128 and the number of the signal that came before it ran.
    func run() async throws -> Int32 {
        let state = try StateFolder()
        let local = try await LaptopDaemon(folder: state).socket(for: label)
        let relay = SignalRelay()
        let code: Int32
        do {
            code = try await relay.run { try await connect(state, local, relay) }
        } catch let error as SSHMaster.NoConnection {
            code = error.status
        } catch is CancellationError {
            code = 255
        }
        return relay.code ?? code
    }

    private func connect(_ state: StateFolder, _ local: UnixAddress, _ relay: SignalRelay) async throws -> Int32 {
        if arguments.isKept { return try await keep(state, local, relay) }
        if arguments.forbidsSharing { return try await single(local, relay) }
        let isHeld = arguments.has("N")
        let staysBehind = arguments.has("f")
        let master = try await SSHMaster.open(
            ssh,
            arguments,
            in: state,
            alwaysOwn: isHeld,
            lives: isHeld && staysBehind ? .forever : .withUs,
            signals: relay
        )
        let lifeline = try await master.lifeline()
        defer { lifeline?.close() }
        guard let tunnel = try await tunnel(through: master, to: local) else {
            await master.close()
            Self.note("no script runs through a shared connection; going on with a single one")
            return try await single(local, relay)
        }
        if isHeld, staysBehind { return 0 }
        var code: Int32 = 0
        if isHeld {
            await lifeline?.wait()
        } else if !Task.isCancelled {
            code = try await ssh.run(
                master.sessionOptions + terminal + ["--", arguments.destination] + remoteCommand(in: tunnel),
                signals: relay
            )
        }
        if !staysBehind { await tunnel.close() }
        return code
    }

    /// Brings the tunnel up whenever it is down, ever more slowly up to once a minute, until a signal comes.
    ///
    /// The first connection has to succeed: who types a wrong name is told at once.
    private func keep(_ state: StateFolder, _ local: UnixAddress, _ relay: SignalRelay) async throws -> Int32 {
        var pause = Duration.seconds(1)
        var hasBeenUp = false
        while true {
            let start = ProcessContext.monotonicNow
            do {
                let master = try await SSHMaster.open(ssh, arguments, in: state, alwaysOwn: true, signals: relay)
                let lifeline = try await master.lifeline()
                if let tunnel = try await tunnel(through: master, to: local), let remote = tunnel.remote {
                    hasBeenUp = true
                    Self.note("the tunnel to \(safe(arguments.destination)) is up: \(safe(remote))")
                    await lifeline?.wait()
                    if Task.isCancelled { await tunnel.close() }
                } else {
                    await master.close()
                    guard hasBeenUp else { return ExitStatus.noTunnel.rawValue }
                }
            } catch {
                // Whatever broke it now may be well the next time.
                guard hasBeenUp, !Task.isCancelled else { throw error }
            }
            try Task.checkCancellation()
            if ProcessContext.monotonicNow - start > .seconds(60) { pause = .seconds(1) }
            Self.note("no connection to \(safe(arguments.destination)); trying again in \(pause.components.seconds) s")
            try await Task.sleep(for: pause, clock: .continuous)
            pause = min(pause * 2, .seconds(60))
        }
    }

    private func tunnel(through master: SSHMaster, to local: UnixAddress) async throws -> Tunnel? {
        do {
            return try await Tunnel.make(
                through: master,
                to: local,
                installs: arguments.installs,
                note: Self.note
            )
        } catch {
            await master.close()
            throw error
        }
    }

    /// One ssh for everything, where connections cannot be shared.
    private func single(_ local: UnixAddress, _ relay: SignalRelay) async throws -> Int32 {
        guard RemoteAccount.isForwardable(local.path) else {
            throw SSHArguments.Mistake(description: "ssh cannot forward \(safe(local.path))")
        }
        let remote = "/tmp/.rtun-\(RandomWord.make(bytes: 8)).sock"
        return try await ssh.run(
            ["-o", "RemoteCommand=none"] + arguments.words(without: "MS")
                + ["-S", "none", "-R", "\(remote):\(local.path)"] + (arguments.has("N") ? [] : terminal)
                + ["--", arguments.destination]
                + (arguments.has("N") ? [] : [RemoteScript.alone(socket: remote, command: arguments.command)]),
            signals: relay
        )
    }

    /// A terminal where ssh would make one by itself, had it no command.
    private var terminal: [String] {
        arguments.command.isEmpty && !arguments.has("T") && !arguments.has("t") ? ["-t"] : []
    }

    private func remoteCommand(in tunnel: Tunnel) -> [String] {
        tunnel.shell.map { [$0.commandLine(running: arguments.command)] } ?? arguments.command
    }

    @Sendable private static func note(_ text: String) {
        StandardStream.error.line("rtun: " + text)
    }
}
