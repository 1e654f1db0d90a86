// SPDX-License-Identifier: MIT

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// What the kernel tells of the process at the other end of a UNIX socket, for an event loop that owns the descriptor.
///
/// Laid out as `struct ucred` (unix(7)) or `struct xucred` (unix(4)): the value of the socket option `option` at `level`.
/// It names the user of this machine who connected; of a forwarded connection that is the user who runs ssh.
package struct PeerCredentials: Sendable {
    #if canImport(Darwin)
    package static let level: Int32 = 0  // SOL_LOCAL
    package static let option: Int32 = 1  // LOCAL_PEERCRED
    private let version: UInt32
    package let userID: UInt32
    private let groupCount: Int16
    private let groups: (Half, Half)
    private typealias Half = (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)
    #else
    package static var level: Int32 { SOL_SOCKET }
    package static var option: Int32 { SO_PEERCRED }
    private let processID: Int32
    package let userID: UInt32
    private let groupID: UInt32
    #endif
}
