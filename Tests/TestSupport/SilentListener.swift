// SPDX-License-Identifier: MIT

internal import Foundation

/// A UNIX socket that accepts connections and never says a word, as a half-dead sshd does.
package final class SilentListener: Sendable {
    private let descriptor: Int32

    /// Listens at `path`, which must not exist and may have 103 bytes.
    package init(at path: String) throws {
        descriptor = try Self.socket(at: path) { bind($0, $1, $2) }
        // The kernel completes connections up to the backlog; nobody has to call accept(2).
        guard listen(descriptor, 64) == 0 else { throw TestSupportFailure("listen \(path): errno \(errno)") }
    }

    deinit {
        close(descriptor)
    }

    /// Leaves a socket behind on which nobody listens, as an sshd that has ended does.
    package static func leaveDeadSocket(at path: String) throws {
        _ = try SilentListener(at: path)
    }

    /// Whether somebody accepts connections at `path`.
    package static func accepts(_ path: String) -> Bool {
        guard let descriptor = try? socket(at: path, then: { connect($0, $1, $2) }) else { return false }
        close(descriptor)
        return true
    }

    /// Makes a socket and gives it, with the address of `path`, to bind(2) or connect(2).
    static func socket(
        at path: String,
        then call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw TestSupportFailure("too long for a socket: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        #if os(Linux)
        let descriptor = Foundation.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        #else
        let descriptor = Foundation.socket(AF_UNIX, SOCK_STREAM, 0)
        #endif
        let result = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let reason = errno
            close(descriptor)
            throw TestSupportFailure("\(path): \(String(cString: strerror(reason)))")
        }
        return descriptor
    }
}
