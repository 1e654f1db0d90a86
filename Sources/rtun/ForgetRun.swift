// SPDX-License-Identifier: MIT

import Transfer

/// `rtun send --forget`: drops an unfinished send on the laptop, and then here.
struct ForgetRun {
    let id: String
    let client: Client

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
            let (found, _, answer) = try await client.ask(.forget(request: try send.request.name())) { welcome in
                try memory.check(welcome)
            }
            found.connection.close()
            guard case .forgotten = answer else { return .failure }
        } catch let error as NoTunnel {
            try store.forget(send.id)
            StandardStream.error.line("rtun: forgotten here; the laptop was not asked and drops it after 7 days")
            throw error
        }
        try store.forget(send.id)
        StandardStream.output.line("\(send.id) is forgotten, here and on \(safe(send.laptop))")
        return .success
    }
}
