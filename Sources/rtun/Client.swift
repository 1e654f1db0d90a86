// SPDX-License-Identifier: MIT

import ArgumentParser
import Codecs
import Descriptors
import NIOCore
import NIOPosix
import Transfer

/// What every command that talks to a laptop takes.
struct ClientOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The socket that leads to your computer (default: the newest that answers).")
    var socket: String?

    @Option(help: ArgumentHelp("The laptop, by its display name, where several answer.", valueName: "name"))
    var to: String?
}

/// A client's side of one command: the tunnel, and how failures are told.
struct Client {
    /// One event loop is enough: it only moves bytes.
    static let group = MultiThreadedEventLoopGroup.singleton

    private(set) var finder: SocketFinder
    private let startsFlush: Bool

    /// With `startsFlush`, whoever finds the laptop has the outbox delivered as well.
    init(_ options: ClientOptions, codecs: CodecSet = .all, sourceKey: [UInt8]? = nil, startsFlush: Bool = true) {
        self.startsFlush = startsFlush
        let host = (try? ProcessContext.hostName()) ?? ""
        finder = SocketFinder(
            given: options.socket,
            laptop: options.to,
            hello: Hello(
                codecs: codecs,
                software: RTun.software,
                sourceKey: sourceKey,
                hostName: host.cut(toBytes: 255)
            ),
            group: Self.group
        )
    }

    /// The same for the laptop of that display name alone; nil where the user has said which one it is.
    func to(_ laptop: String) -> Client? {
        guard finder.laptop == nil, finder.given == nil else { return nil }
        var copy = self
        copy.finder.laptop = laptop
        return copy
    }

    /// A connection to the laptop; what waits in the outbox is delivered beside it.
    func open(_ request: Message?) async throws -> DaemonConnection {
        let found = try await finder.open(request)
        if startsFlush { DetachedFlush.startIfNeeded(socket: finder.given) }
        return found
    }

    /// Sends a request and returns its answer with the connection.
    ///
    /// With `examination` nothing is asked before the laptop has passed it; what it throws is thrown.
    func ask(
        _ request: Message,
        asking examination: (@Sendable (Welcome) throws -> Void)? = nil
    ) async throws -> (DaemonConnection, MessageStream, Message) {
        let found = try await open(examination == nil ? request : nil)
        do { try examination?(found.welcome) } catch {
            found.connection.close()
            throw error
        }
        if let answer = found.answer { return (found, found.stream, answer) }
        // Several sockets were tried, so the request goes to the one that was chosen.
        var stream = found.stream
        let timer = found.connection.deadline(in: TransferLimits.answerSeconds + 5)
        defer { timer.cancel() }
        try await found.connection.send(request)
        guard let answer = try await stream.nextMessage()?.decoded() else { throw TransferError.noAnswer }
        if case .refused(let abort) = answer { throw TransferError.peer(abort) }
        return (found, stream, answer)
    }

    /// Runs a command's work; what fails is told in one sentence and becomes the exit code.
    static func run(_ body: () async throws -> ExitStatus) async throws {
        let status: ExitStatus
        do {
            status = try await body()
        } catch let error as ExitCode {
            throw error
        } catch let error as ValidationError {
            // Thrown from here it would come with the usage of `rtun`, which helps nobody.
            StandardStream.error.line("rtun: \(error.message)")
            throw ExitCode.validationFailure
        } catch {
            StandardStream.error.line("rtun: \(describe(error))")
            if let interruption = error as? Interruption { StandardStream.error.line("rtun: \(interruption.advice)") }
            status = ExitStatus(error)
        }
        try status.end()
    }

    /// The sentence for a failure, with what the laptop said made fit for a terminal.
    static func describe(_ error: any Error) -> String {
        switch error {
        case TransferError.peer(let abort):
            abort.setting.map { "\(safe(abort.reason)) (setting on the laptop: \(safe($0)))" } ?? safe(abort.reason)
        case let error as NoTunnel: error.description
        case let interruption as Interruption: describe(interruption.cause)
        case let error as TransferError: safe(error.description)
        default: safe("\(error)")
        }
    }
}
