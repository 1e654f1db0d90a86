// SPDX-License-Identifier: MIT

private import Archive
private import NIOCore
import Transfer

/// Answers the laptop's own user on `ctl.sock` (`docs/protocol.md` section 10).
struct AdministrationService: Sendable {
    let registry: TransferRegistry
    let inbox: Inbox
    let stop: StopSignal

    func serve(_ connection: SocketConnection) async {
        let timer = connection.deadline(in: TransferLimits.firstLineSeconds)
        defer { timer.cancel() }
        var stream = MessageStream(connection)
        guard let line = try? await stream.nextLine(atMost: 256) else { return }
        switch String(decoding: line, as: UTF8.self) {
        case "STOP":
            try? await connection.send(ByteBuffer(string: "OK\r\n"))
            await stop.fire()
        case "STATUS":
            let count = await registry.count
            try? await connection.send(ByteBuffer(string: "{\"running_transfers\":\(count)}\r\n"))
        default: try? await connection.send(ByteBuffer(string: "ERROR unknown command\r\n"))
        }
    }
}
