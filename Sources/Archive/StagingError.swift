// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// What can go wrong while an archive is written down, by what it means to the sender.
///
/// `cause` is for the laptop's own log; only the case travels to the peer.
package enum StagingError: Error, Sendable, CustomStringConvertible {
    /// No space, no inodes or no quota left.
    case diskFull(SystemError)
    case readOnly(SystemError)
    case inputOutput(SystemError)
    /// The bytes read back are not those that were sent.
    case integrity(path: String)
    /// What the send counts on was changed at its final place meanwhile; sending again helps.
    case changedMeanwhile(path: String)
    /// Another one has the name of an entry, and the sender does not want that.
    case conflict(path: String)
    /// Another process owns the staging folder.
    case inUse
    case codec(String)

    package init(_ error: SystemError) {
        switch error.errno {
        case .fileExists: self = .inUse
        case .noSpace, .diskQuotaExceeded, .fileTooLarge: self = .diskFull(error)
        case .readOnlyFileSystem: self = .readOnly(error)
        default: self = .inputOutput(error)
        }
    }

    package var description: String {
        switch self {
        case .diskFull(let cause), .readOnly(let cause), .inputOutput(let cause): cause.description
        case .integrity(let path): "read back from disk, \(path) is not what was sent"
        case .changedMeanwhile(let path): "\(path) changed on the laptop during the send"
        case .conflict(let path): "something else stands where \(path) is to go"
        case .inUse: "another process writes this transfer"
        case .codec(let text): text
        }
    }
}

extension RejectCause {
    /// The refusal of one entry that a failed call means, or nil where it is a fault of the disk.
    init?(_ error: SystemError) {
        switch error.errno {
        case .fileExists, .isDirectory, .notDirectory: self = .nameStands
        case .invalidArgument, .illegalByteSequence, .fileNameTooLong: self = .nameNotTaken
        default: return nil
        }
    }
}
