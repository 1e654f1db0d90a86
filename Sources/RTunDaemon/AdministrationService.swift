// SPDX-License-Identifier: MIT

private import Archive
private import NIOCore
import Transfer

/// Answers the laptop's own user on `ctl.sock` (`docs/protocol.md` section 10).
struct AdministrationService: Sendable {
    let registry: TransferRegistry
    let labels: LabelSockets
    let desktop: Desktop
    let wall: WorkerWall.State
    let stop: StopSignal

    func serve(_ connection: SocketConnection) async {
        let timer = connection.deadline(in: TransferLimits.firstLineSeconds)
        defer { timer.cancel() }
        var stream = MessageStream(connection)
        guard let line = try? await stream.nextLine(atMost: 256) else { return }
        let request = String(decoding: line, as: UTF8.self)
        if request.hasPrefix("LABEL ") {
            try? await connection.send(ByteBuffer(string: await open(request.dropFirst(6)) + "\r\n"))
            return
        }
        switch request {
        case "STOP":
            try? await connection.send(ByteBuffer(string: "OK\r\n"))
            await stop.fire()
        case "STATUS":
            let count = await registry.count
            // No quotes are in the words of the wall.
            let status = "{\"desktop\":\(desktop.isAlive),\"running_transfers\":\(count),\"wall\":\"\(wall)\"}"
            try? await connection.send(ByteBuffer(string: status + "\r\n"))
        default: try? await connection.send(ByteBuffer(string: "ERROR unknown command\r\n"))
        }
    }

    private func open(_ text: Substring) async -> String {
        guard let label = HostLabel(text) else { return "ERROR a label is \(HostLabel.rule)" }
        do {
            return "OK \(try await labels.open(label))"
        } catch {
            return "ERROR \(SafeText("\(error)"))"
        }
    }
}
