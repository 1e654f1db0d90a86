// SPDX-License-Identifier: MIT

internal import Foundation

/// A peer that says fixed bytes through a UNIX socket and listens to the end.
package enum RawDialogue {
    /// Writes `bytes`, ends its own side, and returns all that comes until the other side ends.
    ///
    /// - Throws: `TestSupportFailure` where that takes over 20 s.
    package static func play(_ bytes: [UInt8], at path: String) async throws -> [UInt8] {
        let descriptor = try SilentListener.socket(at: path) { connect($0, $1, $2) }
        let heard: [UInt8]? = await Waiting.onThread {
            defer { close(descriptor) }
            var patience = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, 0) }
                guard count > 0 else { return nil }
                rest = rest.dropFirst(count)
            }
            shutdown(descriptor, Int32(SHUT_WR))
            var heard: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count >= 0 else { return nil }
                if count == 0 { return heard }
                heard += buffer.prefix(count)
            }
        }
        guard let heard else { throw TestSupportFailure("the dialogue at \(path) did not end") }
        return heard
    }
}
