// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import NIOCore
import Transfer
import UnixSignals

/// No socket leads to a laptop that answers.
struct NoTunnel: Error, CustomStringConvertible {
    let description: String

    /// What the user can do, where nothing is there at all.
    static func nothing(in folder: String) -> NoTunnel {
        NoTunnel(
            description: """
                no tunnel to your computer: there is no live socket in \(folder)
                On your computer run: rtun ssh HOST; or rtun server -d, and log in with: \
                ssh -R \(folder)/rtun.sock.1:$HOME/.rtun/rtun.sock HOST
                """
        )
    }

    /// Where laptops answer, and none of them has the name that was asked for.
    static func noLaptop(named name: String, but others: [String]) -> NoTunnel {
        NoTunnel(
            description: """
                no laptop named \(safe(name)) answers; those that do: \(others.map(safe).joined(separator: ", "))
                The name of a laptop is set in its configuration; log in from it with: rtun ssh HOST
                """
        )
    }

    /// Where a socket is there and nobody behind it.
    static func silent(_ path: String) -> NoTunnel {
        NoTunnel(
            description: """
                no answer through \(path): the laptop daemon is not running, or the ssh session is dead
                On your computer run: rtun server -d; if that does not help, log in again: rtun ssh HOST
                """
        )
    }
}

/// Finds the tunnel: `-s`, else `RTUN_SOCK` if it answers, else the newest socket in the state folder that answers,
/// else one that lives on another node of the same home.
struct SocketFinder {
    private typealias Answer = Result<DaemonConnection, any Error>

    /// Seconds for the answer through the only socket that there is, which may lead over a slow link with much under way.
    private static let patience = 2 * TransferLimits.probeSeconds

    let given: String?
    /// The display name of the laptop that is wanted; nil takes any.
    var laptop: String?
    let hello: Hello
    let group: any EventLoopGroup

    /// A connection whose daemon has answered; `request` goes with the greeting where only one socket is tried.
    ///
    /// A refusal is an answer: it is thrown where no other laptop says WELCOME. SIGTERM and SIGHUP end the search.
    func open(_ request: Message?) async throws -> DaemonConnection {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sighup)
        return try await withThrowingTaskGroup(of: DaemonConnection?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await search(request) }
            group.addTask {
                for await _ in signals { throw TransferError.local(Abort(.stopping, "stopped by a signal")) }
                return nil
            }
            while let found = try await group.next() {
                if let found { return found }
            }
            throw CancellationError()
        }
    }

    private func search(_ request: Message?) async throws -> DaemonConnection {
        if let given { return try await open(given, request) }
        var refusal: (any Error)?
        var otherLaptops: [String] = []
        var asked: UnixAddress?
        var patience = Self.patience
        if let path = ProcessContext.environment("RTUN_SOCK"), !path.isEmpty,
            let address = try? UnixAddress(path: path)
        {
            let others = (try? SocketFolder(StateFolder()).candidates())?.filter { $0.address != address } ?? []
            if others.isEmpty { asked = address } else { patience = TransferLimits.probeSeconds }
            switch await answer(of: address, laptop == nil ? request : nil, within: patience) {
            case .success(let found):
                if isWanted(found, &otherLaptops) { return found }
            case .failure(let error):
                if !Self.isSilence(error) { refusal = error }
            }
        }
        if let refusal { throw refusal }
        let folder = SocketFolder(try StateFolder())
        let candidates = try folder.candidates()
        if let only = candidates.first, candidates.count == 1, laptop == nil {
            if only.address != asked {
                switch await answer(of: only.address, request, within: patience) {
                case .success(let found): return found
                case .failure(let error): if !Self.isSilence(error) { throw error }
                }
            }
        } else {
            let found = await newestWanted(candidates, &refusal, &otherLaptops)
            if let found {
                try folder.removeDead()
                return found
            }
        }
        if let refusal { throw refusal }
        if let laptop, !otherLaptops.isEmpty { throw NoTunnel.noLaptop(named: laptop, but: otherLaptops) }
        if let found = await NodeRelay(hello: hello, laptop: laptop, group: group).open(candidates) { return found }
        try folder.removeDead()
        guard !candidates.isEmpty else { throw NoTunnel.nothing(in: safe(folder.folder.path)) }
        throw NoTunnel.silent(candidates.map { safe($0.address.path) }.joined(separator: ", "))
    }

    /// The socket that the user named, whatever it says.
    private func open(_ given: String, _ request: Message?) async throws -> DaemonConnection {
        let address = try UnixAddress(path: given)
        do {
            return try await DaemonConnection.open(
                address,
                hello: hello,
                request: request,
                within: Self.patience,
                on: group
            )
        } catch {
            throw Self.explained(error, safe(given))
        }
    }

    private func answer(
        of address: UnixAddress,
        _ request: Message?,
        within seconds: Int64 = TransferLimits.probeSeconds
    ) async -> Answer {
        do {
            return .success(
                try await DaemonConnection.open(
                    address,
                    hello: hello,
                    request: request,
                    within: seconds,
                    on: group
                )
            )
        } catch {
            return .failure(error)
        }
    }

    /// Nobody is there, or nobody who speaks in time.
    private static func isSilence(_ error: any Error) -> Bool {
        switch error {
        case is SystemError, TransferError.noAnswer: true
        default: false
        }
    }

    private func isWanted(_ found: DaemonConnection, _ others: inout [String]) -> Bool {
        guard let laptop, found.welcome.displayName != laptop else { return true }
        if !others.contains(found.welcome.displayName) { others.append(found.welcome.displayName) }
        found.connection.close()
        return false
    }

    /// Probes all at once: one that hangs costs the others nothing.
    ///
    /// The newest that says WELCOME wins; `refusal` is what the newest of the others said.
    private func newestWanted(
        _ candidates: [SocketFolder.Candidate],
        _ refusal: inout (any Error)?,
        _ others: inout [String]
    ) async -> DaemonConnection? {
        await withTaskGroup(of: (Int, Answer).self) { group in
            defer { group.cancelAll() }
            for (position, candidate) in candidates.enumerated() {
                group.addTask { (position, await answer(of: candidate.address, nil)) }
            }
            var answers: [Int: DaemonConnection] = [:]
            var refusals: [Int: any Error] = [:]
            var open = Set(candidates.indices)
            for await (position, answer) in group {
                open.remove(position)
                switch answer {
                case .success(let found): if isWanted(found, &others) { answers[position] = found }
                case .failure(let error): if !Self.isSilence(error) { refusals[position] = error }
                }
                // Nothing newer is still being waited for.
                if let best = answers.keys.min(), !open.contains(where: { $0 < best }) {
                    for (position, other) in answers where position != best { other.connection.close() }
                    return answers[best]
                }
            }
            refusal = refusals.min { $0.key < $1.key }?.value
            return nil
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
