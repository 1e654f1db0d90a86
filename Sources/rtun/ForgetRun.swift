// SPDX-License-Identifier: MIT

import Descriptors
import Transfer

/// `rtun send --forget`: drops an unfinished send on the laptop, and then here.
struct ForgetRun {
    let id: String
    let client: Client

    /// For so long a laptop is asked that takes the send for running: it may not have noticed yet that its sender died.
    private static let busyPatience: Duration = .seconds(5)

    func run() async throws -> ExitStatus {
        let store = try SendStore(in: StateFolder())
        let send = try UnfinishedSends(store).named(id)
        let memory = SendMemory(
            send.request,
            beganAt: send.inbox,
            laptop: send.laptop,
            report: SendReport(mode: .text, showsProgress: false, name: "")
        )
        do {
            guard case .forgotten = try await ask(send.request, memory) else { return .failure }
        } catch let error as NoTunnel {
            try store.forget(send.id)
            StandardStream.error.line("rtun: forgotten here; the laptop was not asked and drops it after 7 days")
            throw error
        }
        try store.forget(send.id)
        StandardStream.output.line("\(send.id) is forgotten, here and on \(safe(send.laptop))")
        return .success
    }

    /// Asks the laptop to drop what it has, and returns its answer.
    private func ask(_ request: SendRequest, _ memory: SendMemory) async throws -> Message {
        let end = ProcessContext.monotonicNow + Self.busyPatience
        while true {
            do {
                let (found, _, answer) = try await client.ask(.forget(request: try request.name())) { welcome in
                    try memory.check(welcome)
                }
                found.connection.close()
                return answer
            } catch TransferError.peer(let abort) where abort.code == .busy && ProcessContext.monotonicNow < end {
                try await Task.sleep(for: .milliseconds(200), clock: .suspending)
            }
        }
    }
}
