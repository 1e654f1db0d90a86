// SPDX-License-Identifier: MIT

package import Archive
package import Descriptors

/// How a dialogue with a peer ends badly, seen from this side.
package enum TransferError: Error, Sendable, CustomStringConvertible {
    /// The peer said REFUSED or ABORT.
    case peer(Abort)
    /// This side found a fault and tells the peer so.
    case local(Abort)
    /// The connection ended where it should not.
    case linkLost
    /// Nothing was heard for too long.
    case silence
    /// The peer broke the protocol.
    case malformed(FormatError)
    /// Nobody answers behind the socket.
    case noAnswer
    /// Bytes that a broken link has swallowed cannot be read again.
    case sourceGone
    /// The daemon of the original tool answers there, which speaks the line protocol alone.
    case originalDaemon(UnixAddress)
    /// It answered with one of its errors.
    case originalRefused(String)

    package var description: String {
        switch self {
        case .peer(let abort), .local(let abort): abort.reason
        case .linkLost: "the connection to the laptop was lost"
        case .silence: "nothing was heard from the laptop for \(TransferLimits.idleSeconds) seconds"
        case .malformed(let error): "the peer does not keep to the protocol: \(error.description)"
        case .noAnswer: "nobody answers behind the socket"
        case .sourceGone: "the link broke, and what it swallowed cannot be read again"
        case .originalDaemon: "the laptop runs the original rtun daemon, which cannot do this"
        case .originalRefused(let reply): "the original rtun daemon answered: \(reply)"
        }
    }

    /// What the peer is told, nil where it cannot or need not be told.
    package var abort: Abort? {
        switch self {
        case .local(let abort): abort
        case .malformed(let error): Abort(.protocolViolation, error.description)
        case .silence: Abort(.timeout, "nothing was heard for too long")
        case .sourceGone: Abort(.interrupted, "the source cannot be read again")
        case .peer, .linkLost, .noAnswer, .originalDaemon, .originalRefused: nil
        }
    }

    /// True where the other end of a link is gone, for whatever reason.
    package var breaksLink: Bool {
        switch self {
        case .linkLost, .silence: true
        default: false
        }
    }

    /// True where the laptop or the link went away: nothing is wrong with the send itself.
    package var isInterruption: Bool {
        switch self {
        // The original's daemon knows nothing of a send that has begun elsewhere.
        case .linkLost, .silence, .noAnswer, .originalDaemon: true
        case .peer(let abort): [.stopping, .timeout, .busy].contains(abort.code)
        case .local, .malformed, .originalRefused, .sourceGone: false
        }
    }
}
