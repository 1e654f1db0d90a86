// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import SystemPackage

/// Making UNIX stream sockets the way an event loop does not: private from the first moment, and with peer identity.
package enum UnixSocket {
    /// Binds and listens; the socket file has mode 0600 from the moment it exists, and the descriptor never blocks.
    ///
    /// On macOS the umask of the whole process is 0177 for the length of the call, so call it there before threads
    /// start; Linux needs no umask. Throws EADDRINUSE when anything has the path, also a socket that nobody serves; it
    /// removes nothing.
    package static func listen(at address: UnixAddress, backlog: Int32 = 128) throws(SystemError) -> OwnedDescriptor {
        let number = try SystemCall.run("bind", to: "listen at", path: address.path) { path in
            unsafe descriptors_socket_listen(path, backlog)
        }
        return OwnedDescriptor(adopting: number)
    }

    /// Connects at once or throws; the descriptor never blocks.
    ///
    /// ECONNREFUSED: nobody serves the socket. EAGAIN (Linux): somebody does, and its backlog is full. ENOENT: no such
    /// file. A connection that opens proves no living peer where the socket is forwarded.
    package static func connect(to address: UnixAddress) throws(SystemError) -> OwnedDescriptor {
        let number = try SystemCall.run("connect", to: "connect to", path: address.path) { path in
            unsafe descriptors_socket_connect(path)
        }
        return OwnedDescriptor(adopting: number)
    }

    /// User id of the process that connected, or that listened (`SO_PEERCRED`, `getpeereid`).
    package static func peerUserID(of descriptor: Int32) throws(SystemError) -> UInt32 {
        var user: UInt32 = 0
        try SystemCall.run("getsockopt", to: "learn who is at the other end") {
            unsafe descriptors_socket_peer_user(descriptor, &user)
        }
        return user
    }

    /// Two connected sockets (`socketpair`).
    package static func pair(nonBlocking: Bool = false) throws(SystemError) -> UnixSocketPair {
        var first: Int32 = -1
        var second: Int32 = -1
        try SystemCall.run("socketpair", to: "make a pair of sockets") {
            unsafe descriptors_socket_pair(nonBlocking ? 1 : 0, &first, &second)
        }
        return UnixSocketPair(OwnedDescriptor(adopting: first), OwnedDescriptor(adopting: second))
    }
}

/// Both ends of a socket pair; each is taken once, and what is not taken is closed with this value.
package struct UnixSocketPair: ~Copyable, Sendable {
    private var first: OwnedDescriptor?
    private var second: OwnedDescriptor?

    init(_ first: consuming OwnedDescriptor, _ second: consuming OwnedDescriptor) {
        self.first = consume first
        self.second = consume second
    }

    /// Gives away the first end; a second call is a mistake of the caller and traps.
    package mutating func takeFirst() -> OwnedDescriptor {
        guard let end = first.take() else {
            preconditionFailure("the first end was taken before")
        }
        return end
    }

    /// Gives away the second end; a second call is a mistake of the caller and traps.
    package mutating func takeSecond() -> OwnedDescriptor {
        guard let end = second.take() else {
            preconditionFailure("the second end was taken before")
        }
        return end
    }
}
