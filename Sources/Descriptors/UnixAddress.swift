// SPDX-License-Identifier: MIT

internal import SystemPackage

/// The path of a UNIX socket, known to fit into `sockaddr_un` on every system.
package struct UnixAddress: Sendable, Hashable {
    /// The longest path in bytes: macOS keeps 104 including the NUL, Linux 108.
    package static let longestPath = 103

    /// The path, 1 to 103 bytes, without NUL.
    package let path: String

    /// Takes a path; throws ENAMETOOLONG with both lengths in the message, or EINVAL for one that is empty or has NUL.
    package init(path: String) throws(SystemError) {
        let length = path.utf8.count
        guard length <= Self.longestPath else {
            throw SystemError(
                errno: .fileNameTooLong,
                call: "sockaddr_un",
                name: path,
                action: "use the socket path",
                reason: "it has \(length) bytes and the limit is \(Self.longestPath); choose a shorter folder"
            )
        }
        guard length > 0, !path.utf8.contains(0) else {
            throw SystemError(
                errno: .invalidArgument,
                call: "sockaddr_un",
                name: path,
                action: "use the socket path",
                reason: length == 0 ? "it is empty" : "it holds NUL"
            )
        }
        self.path = path
    }
}
