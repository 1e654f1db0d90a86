// SPDX-License-Identifier: MIT

package import Archive
private import Codecs
private import Descriptors
private import NIOCore

/// Sends files one after the other to a daemon of the original tool (`docs/protocol.md` section 9.3).
///
/// Commands, bytes and digests are written without waiting for replies, so that a round trip through SSH is paid once
/// and not per file. After an error the daemon closes the connection and reads nothing more: what stood behind the
/// refused file goes through a new one. Where a connection ends without a word, the first file that was not answered
/// goes alone, waiting for READY, so that the daemon's own words are heard.
package actor OriginalSender {
    package typealias Connect = @Sendable () async throws -> OriginalConnection

    /// Files that were written and are not answered.
    private static let filesUnderWay = 64
    private static let slabBytes = 1 << 20

    private let verb: String
    private let workshop: Workshop
    private let connect: Connect
    private let report: @Sendable (SourceProblem) -> Void
    private let slab: Slab
    /// What a broken connection left, to be sent before anything new.
    private var left: [OriginalItem] = []
    package private(set) var progress = SendProgress()
    /// Top-level paths of which at least one file arrived, in the order of their arrival.
    package private(set) var arrived: [String] = []
    /// The first of what was left goes alone.
    private var goesAlone = false
    private var current: OriginalConnection?
    private var isStopped = false

    /// Makes a sender for SEND, or for VIEW with `isView`; throws where there is no memory for its buffer.
    ///
    /// `connect` is called for the first connection and after every error of the daemon, `report` for every file that
    /// was refused or changed.
    package init(
        isView: Bool,
        workshop: Workshop,
        connect: @escaping Connect,
        report: @escaping @Sendable (SourceProblem) -> Void
    ) throws {
        verb = isView ? "VIEW" : "SEND"
        self.workshop = workshop
        self.connect = connect
        self.report = report
        slab = try Slab(capacity: Self.slabBytes)
    }

    /// Sends every file; throws where the tunnel is lost for good.
    package func run(_ source: OriginalSource) async throws {
        while true {
            let connection = try await connect()
            defer { connection.close() }
            guard !isStopped else { throw TransferError.local(.stopping) }
            current = connection
            let confirmed = progress.files
            let wasAlone = goesAlone
            guard let loss = try await session(connection, source) else { return }
            // Nothing was gained even alone: the same would happen again.
            if loss.isSilent, wasAlone, progress.files == confirmed { throw TransferError.linkLost }
            goesAlone = loss.isSilent
        }
    }

    /// Ends the send at once, from outside.
    package func stop() {
        isStopped = true
        current?.close()
    }

    /// How a session ended before its time.
    private struct Loss {
        /// Without an error from the daemon.
        let isSilent: Bool
    }

    /// Sends over one connection until everything is sent (nil) or it is lost.
    private func session(_ connection: OriginalConnection, _ source: OriginalSource) async throws -> Loss? {
        var reader = connection
        if goesAlone, let item = await next(source) {
            goesAlone = false
            if let loss = try await sendAlone(item, &reader) { return loss }
        }
        let flight = BoundedQueue<OriginalItem>(capacity: Self.filesUnderWay)
        async let written: Void = write(to: connection.connection, source, flight)
        let loss = await read(&reader, flight)
        // A writer that waits for room, in the queue or in the socket, is let go.
        await flight.finish()
        if loss != nil { connection.close() }
        try await written
        while let item = await flight.takeIfAny() { left.append(item) }
        return loss
    }

    private func next(_ source: OriginalSource) async -> OriginalItem? {
        if !left.isEmpty { return left.removeFirst() }
        return try? await workshop.run { source.next() }
    }

    // MARK: - Writing

    /// Writes files until there are none, the queue is finished, or the connection takes no more.
    private func write(
        to connection: SocketConnection,
        _ source: OriginalSource,
        _ flight: BoundedQueue<OriginalItem>
    ) async throws {
        while let item = await next(source) {
            let file: PlainFile
            do {
                file = try await open(item)
            } catch let problem as SourceProblem {
                report(problem)
                continue
            }
            // Known to the reader before a reply can come.
            guard await flight.put(item) else {
                left.append(item)
                return
            }
            do {
                try await connection.send(ByteBuffer(string: "\(verb) \(file.size) \(item.path)\r\n"))
                try await writeContent(of: file, to: connection)
            } catch let problem as SourceProblem {
                // Its size was promised: only the end of the connection takes that back.
                report(problem)
                changed.insert(item.path)
                connection.close()
                break
            } catch TransferError.linkLost {
                break
            }
        }
        await flight.finish()
    }

    /// Paths of files whose promised bytes could not be read.
    private var changed: Set<String> = []

    private func open(_ item: OriginalItem) async throws -> PlainFile {
        try await workshop.run { try PlainFile(item.entry) }
    }

    /// Writes the promised bytes and their digest; where the file changed meanwhile, a line that is none.
    private func writeContent(of file: PlainFile, to connection: SocketConnection) async throws {
        var digester = Digester()
        let slab = slab
        while true {
            let count = try await workshop.run { try file.read(into: slab) }
            guard count > 0 else { break }
            let bytes = try slab.withBytes(0..<count) { (span: RawSpan) throws(CodecError) in
                try digester.update(span)
                return span.copied
            }
            progress.packedBytes += UInt64(count)
            try await connection.send(bytes)
            progress.wireBytes += UInt64(count)
        }
        if let problem = try file.problem() {
            report(problem)
            // The daemon then throws it away, with ERROR 107.
            if !problem.isBenign { return try await connection.send(ByteBuffer(string: "changed\r\n")) }
        }
        try await connection.send(ByteBuffer(string: "\(try digester.finish())\r\n"))
    }

    // MARK: - Replies

    /// Reads the replies of what was written; nil when all was answered with OK.
    private func read(_ reader: inout OriginalConnection, _ flight: BoundedQueue<OriginalItem>) async -> Loss? {
        while let item = await flight.take() {
            do {
                try await expect("READY", &reader)
                try await expect("OK", &reader)
                confirm(item)
            } catch TransferError.originalRefused(let reply) {
                refuse(item, reply)
                return Loss(isSilent: false)
            } catch {
                if changed.contains(item.path) { return Loss(isSilent: false) }
                left.append(item)
                return Loss(isSilent: true)
            }
        }
        return nil
    }

    private func expect(_ reply: String, _ reader: inout OriginalConnection) async throws {
        let heard = try await reader.nextReply()
        guard heard == reply else { throw TransferError.originalRefused(heard) }
    }

    /// One file with every reply waited for.
    private func sendAlone(_ item: OriginalItem, _ connection: inout OriginalConnection) async throws -> Loss? {
        do {
            let file = try await open(item)
            let reply = try await connection.ask("\(verb) \(file.size) \(item.path)")
            guard reply == "READY" else { throw TransferError.originalRefused(reply) }
            try await writeContent(of: file, to: connection.connection)
            try await expect("OK", &connection)
            confirm(item)
            return nil
        } catch TransferError.originalRefused(let reply) {
            refuse(item, reply)
            return Loss(isSilent: false)
        } catch let problem as SourceProblem {
            report(problem)
            return Loss(isSilent: false)
        } catch TransferError.linkLost {
            left.insert(item, at: 0)
            return Loss(isSilent: true)
        }
    }

    private func confirm(_ item: OriginalItem) {
        progress.files += 1
        if arrived.last != item.top { arrived.append(item.top) }
        progress.durableBytes = progress.wireBytes
    }

    private func refuse(_ item: OriginalItem, _ reply: String) {
        // What changed was told already, and the daemon threw it away as it should.
        guard !reply.hasPrefix("ERROR 107 expected changed,") else { return }
        report(SourceProblem(path: item.entry.path, kind: .notForOriginal("refused by the original daemon: \(reply)")))
    }
}

extension RawSpan {
    fileprivate var copied: ByteBuffer {
        unsafe withUnsafeBytes { unsafe ByteBuffer(bytes: $0) }
    }
}
