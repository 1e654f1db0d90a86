// SPDX-License-Identifier: MIT

import Descriptors
import Transfer

/// The sockets in a state folder that may lead to laptops: `rtun.sock` and `rtun.sock.*`.
struct SocketFolder {
    /// A socket of ours.
    struct Candidate {
        let address: UnixAddress
        let name: String
        let changed: Timestamp

        /// The node that made it; nil where the name does not tell.
        var host: String? { SocketFolder.host(inName: name) }
    }

    let folder: StateFolder

    init(_ folder: StateFolder) { self.folder = folder }

    /// The host in `rtun.sock.HOST.WORD`, as `rtun ssh` makes names; nil in every other.
    static func host(inName name: String) -> String? {
        guard name.hasPrefix("rtun.sock."), let dot = name.lastIndex(of: ".") else { return nil }
        let host = name[..<dot].dropFirst("rtun.sock.".count)
        let isName = host.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return isName && !host.isEmpty && !host.hasPrefix("-") && !host.hasPrefix(".") ? String(host) : nil
    }

    /// Newest first.
    func candidates() throws -> [Candidate] {
        var candidates: [Candidate] = []
        for entry in try folder.directory.entries() {
            guard let name = String(validating: entry.name, as: UTF8.self), name.hasPrefix("rtun.sock"),
                let status = try folder.directory.statusIfPresent(name), status.kind == .socket,
                let address = try? UnixAddress(path: folder.path + "/" + name)
            else { continue }
            candidates.append(Candidate(address: address, name: name, changed: status.changed))
        }
        return candidates.sorted { $0.changed > $1.changed }
    }

    /// Removes sockets that are certainly dead: ours, refusing connections, and made on this host.
    ///
    /// On a network file system a refused connection may belong to another host, unless the name carries this one's.
    func removeDead() throws {
        let isShared = (try? folder.directory.isOnNetworkFileSystem()) ?? true
        let host = (try? ProcessContext.hostName()) ?? ""
        for candidate in try candidates() {
            guard !isShared || (!host.isEmpty && candidate.name.contains(".\(host)")),
                try folder.directory.statusIfPresent(candidate.name)?.owner == ProcessContext.effectiveUserID,
                Self.refusesConnections(candidate.address)
            else { continue }
            try? folder.directory.removeFile(candidate.name)
        }
    }

    static func refusesConnections(_ address: UnixAddress) -> Bool {
        do throws(SystemError) {
            try UnixSocket.connect(to: address).close()
            return false
        } catch {
            return error.isConnectionRefused
        }
    }
}
