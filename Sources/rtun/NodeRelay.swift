// SPDX-License-Identifier: MIT

import Descriptors
import NIOCore
import Synchronization
import Transfer

/// Reaches a socket that lives on another node of a cluster, where both see the same home: `ssh NODE rtun pipe`.
///
/// The socket's name says which node made it. ssh is run only where it works without asking.
struct NodeRelay {
    /// Nodes that are tried, newest socket first.
    private static let attempts = 3
    /// How long a node that did not work is left alone: whoever waits for a tunnel asks again and again.
    private static let pause = Duration.seconds(60)
    private static let failures = Mutex<[String: Duration]>([:])
    private static let answerSeconds: Int64 = 15

    let hello: Hello
    let laptop: String?
    let group: any EventLoopGroup

    /// A connection through the first node that has one; nil where none has.
    ///
    /// It carries a whole transfer: the data connections that a sender also tries are refused, and missed by nobody.
    func open(_ candidates: [SocketFolder.Candidate]) async -> DaemonConnection? {
        let here = (try? ProcessContext.hostName()) ?? ""
        guard let ssh = try? Program(named: "ssh") else { return nil }
        var tried: Set<String> = [here]
        for candidate in candidates {
            guard tried.count <= Self.attempts, let host = candidate.host, tried.insert(host).inserted,
                Self.mayTry(host)
            else { continue }
            guard let found = try? await open(candidate, on: host, ssh) else {
                Self.failures.withLock { $0[host] = ProcessContext.monotonicNow }
                continue
            }
            if let laptop, found.welcome.displayName != laptop {
                found.connection.close()
                continue
            }
            return found
        }
        return nil
    }

    private static func mayTry(_ host: String) -> Bool {
        failures.withLock { $0[host].map { ProcessContext.monotonicNow - $0 > pause } ?? true }
    }

    private func open(
        _ candidate: SocketFolder.Candidate,
        on host: String,
        _ ssh: Program
    ) async throws -> DaemonConnection {
        let mark = "rtun-" + RandomWord.make(bytes: 12)
        var pair = try UnixSocket.pair()
        let mine = pair.takeFirst()
        let theirs = pair.takeSecond()
        let executable = try ProcessContext.executablePath()
        guard RemoteScript.isQuotable(executable), RemoteScript.isQuotable(candidate.address.path) else {
            throw TransferError.noAnswer
        }
        let command = [executable, "pipe", "--mark", mark, "-s", candidate.address.path].map(RemoteScript.quoted)
        // It ends with the connection; nobody waits for it.
        _ = try ChildProcess.spawn(
            executable: ssh.path,
            arguments: [
                "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ClearAllForwardings=yes", "--", host,
                "exec " + command.joined(separator: " "),
            ],
            environment: ProcessContext.allEnvironment,
            descriptors: [(child: 0, parent: theirs.rawValue), (child: 1, parent: theirs.rawValue)]
        )
        try theirs.close()
        return try await DaemonConnection.open(
            over: mine,
            candidate.address,
            announcedBy: mark,
            hello: hello,
            request: nil,
            within: Self.answerSeconds,
            on: group
        )
    }
}
