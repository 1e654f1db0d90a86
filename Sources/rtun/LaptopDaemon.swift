// SPDX-License-Identifier: MIT

import Descriptors
import NIOCore
import RTunDaemon
import Transfer

/// The daemon of this laptop, as its own user sees it: through `ctl.sock` (`docs/protocol.md`, section 10).
struct LaptopDaemon {
    /// It runs, or can be started, no more than this says.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    private static let answerSeconds: Int64 = 10
    /// Seconds that running transfers have to end by themselves before the daemon is stopped; they go on with the next.
    private static let drainSeconds: Int64 = 10

    let folder: StateFolder

    /// The socket to forward for a host: its own where the daemon knows labels, else the one for all.
    ///
    /// Starts the daemon first where none runs, as `rtun server -d` does.
    func socket(for label: HostLabel) async throws -> UnixAddress {
        if let path = try await labelled(label) { return path }
        try await start()
        guard let path = try await labelled(label) else {
            throw Fault(description: "the daemon does not answer on \(safe(folder.path))/ctl.sock")
        }
        return path
    }

    /// As `rtun server -d`.
    func start() async throws {
        let outcome = try await Program(path: try ProcessContext.executablePath()).capture(
            ["server", "-d"],
            within: 60
        )
        guard outcome.status == 0 else {
            throw Fault(description: "the daemon does not start: \(safe(outcome.lastLine))")
        }
    }

    /// The path that the daemon gives a label; the plain socket where it has none to give; nil where nobody answers.
    private func labelled(_ label: HostLabel) async throws -> UnixAddress? {
        guard let answer = try await ask("LABEL \(label.text)") else { return nil }
        if answer.hasPrefix("OK /") { return try UnixAddress(path: String(answer.dropFirst(3))) }
        // A daemon that knows no labels yet.
        guard answer == "ERROR unknown command" else { throw Fault(description: safe(answer)) }
        return try UnixAddress(path: folder.path + "/rtun.sock")
    }

    /// One line to the daemon and one back; nil where nobody listens.
    func ask(_ line: String) async throws -> String? {
        let connection: SocketConnection
        do {
            connection = try await SocketConnection.adopting(
                UnixSocket.connect(to: try UnixAddress(path: folder.path + "/ctl.sock")),
                on: Client.group
            )
        } catch let error as SystemError where error.isMissingFile || error.isConnectionRefused {
            return nil
        }
        let timer = connection.deadline(in: Self.answerSeconds)
        defer {
            timer.cancel()
            connection.close()
        }
        try await connection.send(ByteBuffer(string: line + "\r\n"))
        var stream = MessageStream(connection)
        return try await stream.nextLine(atMost: TransferLimits.firstLineBytes).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// What the daemon behind a socket calls itself; nil where nobody answers.
    func version(at address: UnixAddress) async -> String? {
        let hello = Hello(codecs: .all, software: RTun.software, sourceKey: nil, hostName: "")
        let found = try? await DaemonConnection.open(
            address,
            hello: hello,
            request: nil,
            within: TransferLimits.probeSeconds,
            on: Client.group
        )
        found?.connection.close()
        return found?.welcome.software
    }

    /// Lets what is running end, for a while; what then still runs goes on with the next daemon by itself.
    func drain() async throws {
        let end = ProcessContext.monotonicNow + .seconds(Self.drainSeconds)
        while ProcessContext.monotonicNow < end {
            guard let status = try await ask("STATUS"), !status.contains("\"running_transfers\":0") else { return }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Stops the daemon and waits until it is gone; false where it stays.
    func stop() async throws -> Bool {
        // It may have ended between two looks.
        _ = try await ask("STOP")
        let lock = try folder.directory.openForAppending("daemon.lock")
        for _ in 0..<200 {
            if try lock.lockExclusively() { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }
}
