// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors
import NIOCore
import Transfer

/// `rtun pipe`: standard input and output, joined to the tunnel's socket.
///
/// A node that only shares the home reaches the laptop by `ssh LOGIN rtun pipe`.
struct PipeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipe",
        abstract: "Join standard input and output to the tunnel, for nodes that have none of their own.",
        discussion: ExitStatus.help
    )

    @OptionGroup var client: ClientOptions

    /// A line that is written first, behind whatever start-up files print.
    @Option(help: .hidden) var mark: String?

    func run() async throws {
        try await Client.run {
            let path: String
            if let socket = client.socket {
                path = socket
            } else {
                let found = try await Client(client).finder.open(nil)
                found.connection.close()
                path = found.address.path
            }
            let socket = try await SocketConnection.adopting(
                UnixSocket.connect(to: try UnixAddress(path: path)),
                on: Client.group
            )
            defer { socket.close() }
            if let mark { StandardStream.output.write(safe(mark) + "\n") }
            return try await join(socket)
        }
    }

    /// Carries bytes both ways until the laptop ends, or has been quiet for a second after standard input has ended.
    ///
    /// The end is not passed on at once: the daemon would close, and its last words be lost.
    private func join(_ socket: SocketConnection) async throws -> ExitStatus {
        let heard = ReceivedCount()
        let input = Task {
            while let bytes = try await Program.onThread({ try Self.read() }) {
                try await socket.send(ByteBuffer(bytes: bytes))
            }
            var count: UInt64
            repeat {
                count = heard.bytes
                try await Task.sleep(for: .seconds(1))
            } while heard.bytes != count
            socket.close()
        }
        defer { input.cancel() }
        while let bytes = try await socket.receive() {
            heard.add(bytes.readableBytes)
            try await Program.onThread { try Self.write(bytes) }
        }
        return .success
    }

    /// What standard input has, at most 64 KiB; nil at its end.
    private static func read() throws -> [UInt8]? {
        let input = OwnedDescriptor(adopting: 0)
        let slab = try Slab(capacity: 1 << 16)
        let count = try slab.withMutableBytes(0..<(1 << 16)) {
            (span: inout MutableRawSpan) throws(SystemError) in try input.readSome(into: &span)
        }
        _ = input.relinquish()
        return count == 0 ? nil : slab.withBytes(0..<count) { $0.copy }
    }

    private static func write(_ bytes: ByteBuffer) throws {
        let output = OwnedDescriptor(adopting: 1)
        try Array(bytes.readableBytesView).withSpan { (span: RawSpan) throws(SystemError) in
            try output.writeAll(span)
        }
        _ = output.relinquish()
    }
}
