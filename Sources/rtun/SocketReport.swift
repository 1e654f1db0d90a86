// SPDX-License-Identifier: MIT

import Descriptors
import Transfer

/// What one socket on the server's side leads to.
struct SocketReport: Encodable {
    enum State: String, Encodable {
        /// A laptop answers.
        case live
        /// A laptop answers, and refuses.
        case refused
        /// It accepts and says nothing: ssh or the laptop hangs.
        case silent
        /// Nobody listens.
        case dead
    }

    let path: String
    let state: State
    /// The laptop's name, its label for this host, and its daemon, where it is live.
    let laptop: String?
    let label: String?
    let daemon: String?
    /// What a refusal says.
    let reason: String?

    /// Asks the laptop behind it.
    init(_ address: UnixAddress) async {
        path = address.path
        let hello = Hello(codecs: .all, software: RTun.software, sourceKey: nil, hostName: "")
        do {
            let found = try await DaemonConnection.open(
                address,
                hello: hello,
                request: nil,
                within: TransferLimits.probeSeconds,
                on: Client.group
            )
            found.connection.close()
            state = .live
            laptop = found.welcome.displayName
            label = found.welcome.label
            daemon = found.welcome.software
            reason = nil
        } catch {
            laptop = nil
            label = nil
            daemon = nil
            switch error {
            case is SystemError:
                state = .dead
                reason = nil
            case TransferError.noAnswer:
                state = .silent
                reason = nil
            default:
                state = .refused
                reason = Client.describe(error)
            }
        }
    }

    /// Asks all of a folder and `RTUN_SOCK` at once, newest first; `own` are sockets of this machine's own daemon.
    static func all(in folder: StateFolder, without own: Set<String>) async throws -> [SocketReport] {
        var addresses = try SocketFolder(folder).candidates().map { $0.address }
        if let path = ProcessContext.environment("RTUN_SOCK"), let address = try? UnixAddress(path: path),
            !addresses.contains(address)
        {
            addresses.insert(address, at: 0)
        }
        addresses.removeAll { own.contains($0.path) }
        return await withTaskGroup(of: (Int, SocketReport).self) { group in
            for (position, address) in addresses.enumerated() {
                group.addTask { (position, await SocketReport(address)) }
            }
            var reports: [(Int, SocketReport)] = []
            for await report in group { reports.append(report) }
            return reports.sorted { $0.0 < $1.0 }.map { $0.1 }
        }
    }
}
