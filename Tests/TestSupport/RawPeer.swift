// SPDX-License-Identifier: MIT

internal import Foundation

/// A connection to a UNIX socket on which a test says whatever bytes it likes; it knows nothing of rtun's own encoders.
package final class RawPeer: Sendable {
    private let descriptor: Int32

    /// Connects to `path`.
    package init(to path: String) throws {
        descriptor = try SilentListener.socket(at: path) { connect($0, $1, $2) }
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    /// Writes the text as it is; false where the other side is gone.
    @discardableResult
    package func say(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        #if os(Linux)
        return send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        #else
        return write(descriptor, bytes, bytes.count) == bytes.count
        #endif
    }

    /// Everything up to the end of the line or of the connection, at most `limit` bytes; waits 20 s at most.
    package func line(atMost limit: Int = 1 << 16) -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while bytes.count < limit, read(descriptor, &byte, 1) == 1 {
            bytes.append(byte)
            if byte == UInt8(ascii: "\n") { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether the other side closes, or says something, within that time.
    package func isHeard(within milliseconds: Int32) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, milliseconds) > 0
    }

    /// Says one line on a socket of its own and returns the answer.
    package static func ask(_ line: String, at path: String) throws -> String {
        let peer = try RawPeer(to: path)
        peer.say(line + "\r\n")
        return peer.line()
    }
}
