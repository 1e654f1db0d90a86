// SPDX-License-Identifier: MIT

import Descriptors
import RTunDaemon
import Transfer

/// The links of the chain behind a login: the account on the server, the forwarding, and a ping from there.
struct HostCheckup {
    let folder: StateFolder
    let words: [String]

    func run(_ findings: inout Findings) async throws {
        let arguments: SSHArguments
        do {
            arguments = try SSHArguments(words)
        } catch {
            findings.bad("host", error.description, advice: "name the host as you give it to ssh")
            return
        }
        let host = arguments.destination
        let signals = SignalRelay()
        let master: SSHMaster
        do {
            master = try await SSHMaster.open(
                try Program(named: "ssh"),
                arguments,
                in: folder,
                alwaysOwn: true,
                signals: signals
            )
        } catch is SSHMaster.NoConnection {
            findings.bad("login", "ssh does not get to \(host)", advice: "make this work first: ssh \(host)")
            return
        }
        findings.good("login", host)
        do {
            try await look(through: master, arguments, &findings)
        } catch {
            await master.close()
            throw error
        }
        await master.close()
    }

    private func look(
        through master: SSHMaster,
        _ arguments: SSHArguments,
        _ findings: inout Findings
    ) async throws {
        let mark = "rtun-" + RandomWord.make(bytes: 12)
        let suffix = RandomWord.make(bytes: 4)
        let prepared = try await master.run(.prepare(mark: mark, suffix: suffix, in: [.home, .temporary]))
        guard let account = RemoteAccount(prepared) else {
            findings.bad(
                "account",
                "no script runs there: \(prepared.noise.last ?? "no answer")",
                advice: "look at what the start-up files of your shell there do when no terminal is there"
            )
            return
        }
        findings.good("account", "\(account.system) \(account.machine), \(account.host), shell \(account.shell)")
        if account.state == nil {
            findings.doubtful("folder there", "\(account.home)/.rtun cannot be used; /tmp/rtun-\(account.user) is")
        }
        let program = check(account.programs, &findings)
        guard let remote = account.socket else {
            findings.bad(
                "socket there",
                "no folder holds one",
                advice: "make ~/.rtun there yours alone: chmod 700 ~/.rtun"
            )
            return
        }
        let local = try await LaptopDaemon(folder: folder).socket(for: HostLabel(destination: arguments.destination))
        let forwarded = try await master.forward(remote, to: local.path)
        guard forwarded.status == 0 else {
            findings.bad(
                "forwarding",
                forwarded.lastLine,
                advice: "ask the server's administrator for AllowStreamLocalForwarding yes and AllowTcpForwarding yes"
            )
            return
        }
        findings.good("forwarding", remote)
        if let program {
            let reply = try await master.run(.verify(mark: mark, program: program, socket: remote))
            if reply.value(of: "ping") == "ok" {
                findings.good("ping from there")
            } else {
                findings.bad(
                    "ping from there",
                    "no answer through the tunnel",
                    advice: "run: rtun server --stop; rtun server -d"
                )
            }
        }
        _ = try await master.run(.remove(mark: mark, socket: remote))
    }

    /// The program that serves, or the first of ours.
    private func check(_ programs: [RemoteAccount.Program], _ findings: inout Findings) -> String? {
        let ours = programs.compactMap { program in program.version.map { (program.path, $0) } }
        guard let found = ours.first(where: { $0.1 >= RTun.toolVersion }) ?? ours.first else {
            findings.doubtful("program there", "none yet: rtun ssh installs it")
            return nil
        }
        if found.1 == RTun.toolVersion {
            findings.good("program there", "\(found.0), \(found.1)")
        } else {
            findings.doubtful("program there", "\(found.0) is \(found.1), this is \(RTun.version)")
        }
        return found.0
    }
}

/// The links of the chain as the server sees them.
struct ServerCheckup {
    let folder: StateFolder

    func run(_ findings: inout Findings) async throws {
        let sockets = try await SocketReport.all(in: folder, without: [])
        for socket in sockets {
            switch socket.state {
            case .live: findings.good("tunnel", "\(socket.path) leads to \(socket.laptop ?? "")")
            case .refused: findings.doubtful("tunnel", "\(socket.path): \(socket.reason ?? "refused")")
            case .silent: findings.doubtful("tunnel", "\(socket.path) does not answer")
            case .dead: findings.doubtful("tunnel", "nobody listens at \(socket.path)")
            }
        }
        if !sockets.contains(where: { $0.state == .live }) {
            findings.bad(
                "tunnel",
                sockets.isEmpty ? "there is none" : "none leads to a laptop that answers",
                advice: "on your computer run: rtun ssh HOST"
            )
        }
        if let given = ProcessContext.environment("RTUN_SOCK"),
            sockets.first(where: { $0.path == given })?.state != .live
        {
            findings.doubtful("RTUN_SOCK", "\(given) does not answer; the newest that does is used")
        }
        let free = try folder.directory.space().available
        findings.good("disk of \(folder.path)", ByteFormat.size(free) + " free")
    }
}
