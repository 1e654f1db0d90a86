// SPDX-License-Identifier: MIT

internal import Foundation

/// A UNIX socket that gives every connection the same words, as a daemon that refuses everybody.
package final class WordyListener: Sendable {
    private let descriptor: Int32

    /// Listens at `path`, which must not exist.
    package init(at path: String, saying text: String) throws {
        descriptor = try SilentListener.socket(at: path) { bind($0, $1, $2) }
        guard listen(descriptor, 64) == 0 else { throw TestSupportFailure("listen \(path): errno \(errno)") }
        Thread.detachNewThread { [descriptor] in
            while true {
                let peer = accept(descriptor, nil, nil)
                if peer < 0 { return }
                let bytes = Array(text.utf8)
                #if os(Linux)
                _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                #else
                _ = write(peer, bytes, bytes.count)
                #endif
                // What the peer says is left unread until it is done.
                var byte: UInt8 = 0
                while read(peer, &byte, 1) == 1 {}
                close(peer)
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }
}
