// SPDX-License-Identifier: MIT

package import SystemPackage

/// A system call that failed: what was wanted, of which name, and why it did not happen.
///
/// Programs switch over `errno`; people read `description`, which is one sentence without control characters,
/// whatever the name holds.
package struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The error number of the call.
    package let errno: Errno

    /// The C function that failed, for example `openat`.
    package let call: String

    /// The path or the path component that was named, if there was one.
    package let name: String?

    /// The verb phrase after "cannot", for example `create`.
    package let action: String

    /// A sentence that replaces the text of `errno` where that says too little.
    package let reason: String?

    /// Records a failure; without an `action` the description speaks of `call` alone.
    package init(
        errno: Errno,
        call: String,
        name: String? = nil,
        action: String? = nil,
        reason: String? = nil
    ) {
        self.errno = errno
        self.call = call
        self.name = name
        self.action = action ?? "do \(call)"
        self.reason = reason
    }

    package var description: String {
        let object = name.map { " " + Self.quoted($0) } ?? ""
        return "cannot \(action)\(object): \(reason ?? errno.description) (\(call))"
    }

    /// The text in double quotes, with everything that could move a cursor or hide a character written as `\u{…}`.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                if scalar == "\"" || scalar == "\\" {
                    result += "\\"
                }
                result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension SystemError {
    /// Nobody serves the socket (ECONNREFUSED).
    package var isConnectionRefused: Bool { errno == .connectionRefused }

    /// There is no such file (ENOENT).
    package var isMissingFile: Bool { errno == .noSuchFileOrDirectory }

    /// There are too many processes, or there is no memory for one more (EAGAIN, ENOMEM).
    package var isShortage: Bool { errno == .resourceTemporarilyUnavailable || errno == .noMemory }
}

extension SystemError {
    /// The reason alone, as strerror(3) says it: "Permission denied".
    package var reasonText: String { reason ?? "\(errno)" }
}
