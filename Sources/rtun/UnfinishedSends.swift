// SPDX-License-Identifier: MIT

import Descriptors
import Transfer

/// The unfinished sends of this home, as the user names them.
struct UnfinishedSends {
    /// The latest first.
    let sends: [RememberedSend]

    /// A sentence for the user.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    init(_ store: SendStore) throws {
        sends = try store.list().filter { $0.progress != nil }
    }

    /// The latest whose sources are all here.
    func latest() throws -> RememberedSend {
        if let found = sends.first(where: { Self.isHere($0.request) }) { return found }
        throw Fault(
            description: sends.isEmpty
                ? "there is no unfinished send"
                : "no unfinished send has all its sources here; rtun send --list shows them"
        )
    }

    /// The one whose id begins with these digits.
    func named(_ digits: String) throws -> RememberedSend {
        let found = sends.filter { !digits.isEmpty && $0.id.hasPrefix(digits) }
        guard let send = found.first else {
            throw Fault(description: "there is no unfinished send \(safe(digits)); rtun send --list shows them")
        }
        guard found.count == 1 else {
            throw Fault(description: "\(safe(digits)) begins the ids of \(found.count) sends; give more digits")
        }
        return send
    }

    private static func isHere(_ request: SendRequest) -> Bool {
        request.sources.allSatisfy { path in
            guard let slash = path.lastIndex(of: "/") else { return false }
            let folder = try? Directory.open(slash == path.startIndex ? "/" : String(path[..<slash]))
            return (try? folder?.statusIfPresent(String(path[path.index(after: slash)...]))) != nil
        }
    }
}
