// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import NIOCore
import Transfer

/// No socket leads to a laptop that answers.
struct NoTunnel: Error, CustomStringConvertible {
    let description: String

    /// What the user can do, where nothing is there at all.
    static func nothing(in folder: String) -> NoTunnel {
        NoTunnel(
            description: """
                no tunnel to your computer: there is no live socket in \(folder)
                On your computer run: rtun server -d; then log in with: ssh -R \(folder)/rtun.sock.1:$HOME/.rtun/rtun.sock HOST
                """
        )
    }

    /// Where a socket is there and nobody behind it.
    static func silent(_ path: String) -> NoTunnel {
        NoTunnel(
            description: """
                no answer through \(path): the laptop daemon is not running, or the ssh session is dead
                On your computer run: rtun server -d; if that does not help, log in again with ssh -R
                """
        )
    }
}

/// Finds the tunnel: `-s`, else `RTUN_SOCK` if it answers, else the newest socket in the state folder that answers.
struct SocketFinder {
    private struct Candidate {
        let address: UnixAddress
        let name: String
        let changed: Timestamp
    }

    let given: String?
    let hello: Hello
    let group: any EventLoopGroup

    /// A connection whose daemon has answered; `request` goes with the greeting where only one socket is tried.
    func open(_ request: Message?) async throws -> DaemonConnection {
        if let given {
            let address = try UnixAddress(path: given)
            do {
                return try await DaemonConnection.open(
                    address,
                    hello: hello,
                    request: request,
                    within: TransferLimits.probeSeconds + 1,
                    on: group
                )
            } catch {
                throw Self.explained(error, safe(given))
            }
        }
        if let path = ProcessContext.environment("RTUN_SOCK"), !path.isEmpty,
            let address = try? UnixAddress(path: path),
            let found = try await answering(address, request)
        {
            return found
        }
        let folder = try StateFolder()
        let candidates = try sockets(in: folder)
        guard !candidates.isEmpty else { throw NoTunnel.nothing(in: safe(folder.path)) }
        if candidates.count == 1 {
            if let found = try await answering(candidates[0].address, request) { return found }
        } else if let found = try await newestAnswering(candidates) {
            try removeDead(candidates, in: folder)
            return found
        }
        try removeDead(candidates, in: folder)
        throw NoTunnel.silent(candidates.map { safe($0.address.path) }.joined(separator: ", "))
    }

    /// The connection, or nil where nobody answers in time; a refusal is an answer.
    private func answering(_ address: UnixAddress, _ request: Message?) async throws -> DaemonConnection? {
        do {
            return try await DaemonConnection.open(
                address,
                hello: hello,
                request: request,
                within: TransferLimits.probeSeconds,
                on: group
            )
        } catch is SystemError {
            return nil
        } catch TransferError.noAnswer {
            return nil
        }
    }

    /// Probes all at once: one that hangs costs the others nothing.
    ///
    /// The newest of those that answer wins.
    private func newestAnswering(_ candidates: [Candidate]) async throws -> DaemonConnection? {
        try await withThrowingTaskGroup(of: (Int, Answer?).self) { group in
            for (position, candidate) in candidates.enumerated() {
                group.addTask {
                    do {
                        return (position, try await answering(candidate.address, nil).map { .daemon($0) })
                    } catch TransferError.originalDaemon(let address) {
                        return (position, .original(address))
                    } catch {
                        return (position, nil)
                    }
                }
            }
            var answers: [Int: Answer] = [:]
            var open = Set(candidates.indices)
            for try await (position, answer) in group {
                open.remove(position)
                answers[position] = answer
                // Nothing newer is still being waited for.
                if let best = answers.keys.min(), !open.contains(where: { $0 < best }) {
                    for case (let position, .daemon(let other)) in answers where position != best {
                        other.connection.close()
                    }
                    group.cancelAll()
                    switch answers[best] {
                    case .daemon(let found): return found
                    case .original(let address): throw TransferError.originalDaemon(address)
                    case nil: return nil
                    }
                }
            }
            return nil
        }
    }

    /// Who answers at a socket.
    private enum Answer {
        case daemon(DaemonConnection)
        case original(UnixAddress)
    }

    /// Sockets of ours, newest first.
    private func sockets(in folder: StateFolder) throws -> [Candidate] {
        var candidates: [Candidate] = []
        for entry in try folder.directory.entries() {
            guard let name = String(validating: entry.name, as: UTF8.self), name.hasPrefix("rtun.sock"),
                let status = try folder.directory.statusIfPresent(name), status.kind == .socket,
                let address = try? UnixAddress(path: folder.path + "/" + name)
            else { continue }
            candidates.append(Candidate(address: address, name: name, changed: status.changed))
        }
        return candidates.sorted { $0.changed > $1.changed }
    }

    /// Removes sockets that are certainly dead: ours, refusing connections, and made on this host.
    ///
    /// On a network file system a refused connection may belong to another host, unless the name carries this one's.
    private func removeDead(_ candidates: [Candidate], in folder: StateFolder) throws {
        let isShared = (try? folder.directory.isOnNetworkFileSystem()) ?? true
        let host = (try? ProcessContext.hostName()) ?? ""
        for candidate in candidates {
            guard !isShared || (!host.isEmpty && candidate.name.contains(".\(host)")),
                try folder.directory.statusIfPresent(candidate.name)?.owner == ProcessContext.effectiveUserID,
                refusesConnections(candidate.address)
            else { continue }
            try? folder.directory.removeFile(candidate.name)
        }
    }

    private func refusesConnections(_ address: UnixAddress) -> Bool {
        do throws(SystemError) {
            try UnixSocket.connect(to: address).close()
            return false
        } catch {
            return error.isConnectionRefused
        }
    }

    private static func explained(_ error: any Error, _ path: String) -> any Error {
        switch error {
        case TransferError.noAnswer: NoTunnel.silent(path)
        case let error as SystemError where error.isConnectionRefused: NoTunnel.silent(path)
        case let error as SystemError where error.isMissingFile:
            NoTunnel(
                description: "there is no socket at \(path)\nLog in with: ssh -R \(path):$HOME/.rtun/rtun.sock HOST"
            )
        default: error
        }
    }
}
