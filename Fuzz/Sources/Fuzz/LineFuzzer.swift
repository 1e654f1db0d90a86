// SPDX-License-Identifier: MIT

@testable import Archive
@testable import Transfer

/// The original's line protocol: every line is a request of some kind, and every reply is one line.
enum LineFuzzer {
    static func run(_ bytes: [UInt8]) {
        for verb in ["", "SEND ", "VIEW ", "SEND 1 ", "VIEW 1 "] {
            check(OriginalRequest(line: Array(verb.utf8) + bytes))
        }
    }

    private static func check(_ request: OriginalRequest) {
        switch request {
        case .transfer(let transfer):
            precondition(transfer.size >= 0, "less than nothing")
            precondition(!(transfer.folders.first ?? transfer.name).isReserved, "a name that is the daemon's own")
            precondition(!transfer.isView || transfer.folders.isEmpty, "a view in a folder")
        case .refused(let reply):
            precondition(reply.closes, "bytes behind a refused command would be read as commands")
            let said = reply.bytes
            precondition(said.suffix(2).elementsEqual("\r\n".utf8) && !said.dropLast(2).contains { $0 < 0x20 })
        default: break
        }
    }
}
