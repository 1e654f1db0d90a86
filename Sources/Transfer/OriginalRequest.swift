// SPDX-License-Identifier: MIT

package import Archive

/// One line that a client of the original tool says (`docs/protocol.md` section 9.1).
package enum OriginalRequest: Sendable, Hashable {
    case ping
    /// `PID` and `SHUTDOWN`: known, and never done.
    case administration
    case echo([UInt8])
    case notify(host: String, text: String)
    case transfer(OriginalTransfer)
    /// SEND or VIEW that cannot be taken, with what the client is told.
    case refused(OriginalReply)
    case unknown

    /// Reads a line without its end; any bytes are a request of some kind.
    package init(line: [UInt8]) {
        func rest(behind verb: String) -> [UInt8]? {
            line.starts(with: verb.utf8) ? Array(line.dropFirst(verb.utf8.count)) : nil
        }
        if rest(behind: "PING") != nil {
            self = .ping
        } else if rest(behind: "PID") != nil || rest(behind: "SHUTDOWN") != nil {
            self = .administration
        } else if let text = rest(behind: "ECHO ") {
            self = .echo(text)
        } else if let words = rest(behind: "NOTIFY ") {
            let parts = words.split(separator: UInt8(ascii: " "), maxSplits: 1, omittingEmptySubsequences: false)
            self = .notify(
                host: String(decoding: parts[0], as: UTF8.self),
                text: parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
            )
        } else if let words = rest(behind: "SEND ") {
            self = Self.transfer(words, isView: false)
        } else if let words = rest(behind: "VIEW ") {
            self = Self.transfer(words, isView: true)
        } else {
            self = .unknown
        }
    }

    private static func transfer(_ words: [UInt8], isView: Bool) -> OriginalRequest {
        // Without a space behind the size the original reads neither.
        let space = words.firstIndex(of: UInt8(ascii: " "))
        let size = space.map { words[..<$0] } ?? []
        let path = space.map { words[($0 + 1)...] } ?? []
        do throws(OriginalReply) {
            return .transfer(try OriginalTransfer(size: size, path: path, isView: isView))
        } catch {
            return .refused(error)
        }
    }
}

/// SEND or VIEW: how many bytes come, and what they become.
package struct OriginalTransfer: Sendable, Hashable {
    package let size: Int64
    /// Folders below the inbox, outermost first; none for VIEW.
    package let folders: [EntryName]
    package let name: EntryName
    package let isView: Bool

    init(size: ArraySlice<UInt8>, path: ArraySlice<UInt8>, isView: Bool) throws(OriginalReply) {
        self.isView = isView
        self.size = try Self.number(size)
        var parts = Self.cleaned(path)
        if isView { parts = parts.suffix(1) }
        guard let last = parts.popLast() else { throw .inboxItself(Array(path)) }
        guard parts.count < ArchiveLimits.depth, path.count <= ArchiveLimits.pathBytes else {
            throw .notTaken("the path is too long")
        }
        do throws(EntryName.Fault) {
            var folders: [EntryName] = []
            for part in parts { folders.append(try EntryName(validating: part)) }
            self.folders = folders
            name = try EntryName(validating: last)
            guard (folders.first ?? name).isReserved == false else { throw .reserved }
        } catch {
            throw .notTaken(error.rawValue)
        }
    }

    /// A decimal number as Go's `strconv.Atoi` reads it, that no file is too short or too long for.
    private static func number(_ text: ArraySlice<UInt8>) throws(OriginalReply) -> Int64 {
        let sign = text.first.flatMap { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") ? $0 : nil }
        let digits = sign == nil ? text : text.dropFirst()
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw .badSize(Array(text), isNumber: false)
        }
        guard let value = Int64(String(decoding: digits, as: UTF8.self)), value == 0 || sign != UInt8(ascii: "-") else {
            throw .badSize(Array(text), isNumber: true)
        }
        return value
    }

    /// The parts of a path below the inbox, as Go's `path.Clean` has them behind a `/`: text alone, no file system.
    private static func cleaned(_ path: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        for part in path.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            if part.elementsEqual("..".utf8) {
                _ = parts.popLast()
            } else {
                parts.append(part)
            }
        }
        return parts
    }
}
