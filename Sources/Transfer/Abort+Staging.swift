// SPDX-License-Identifier: MIT

package import Archive

extension Abort {
    package static let stopping = Abort(.stopping, "the laptop's daemon is going down")

    /// What a sender is told of a fault of the laptop's disk.
    package init(_ error: StagingError) {
        switch error {
        case .diskFull: self.init(.diskFull, "the laptop's disk is full")
        case .readOnly: self.init(.readOnly, "the laptop's disk is read-only")
        case .inputOutput: self.init(.inputOutput, "the laptop's disk reported an error")
        case .integrity: self.init(.integrity, "what the laptop's disk gave back is not what was sent")
        case .changedMeanwhile: self.init(.busy, "files on the laptop changed during the send; send again")
        case .conflict(let path): self.init(.conflict, "another \(path) stands there already; nothing was changed")
        case .inUse: self.init(.busy, "the transfer is in use")
        case .codec: self.init(.protocolViolation, "a payload cannot be decoded")
        }
    }
}
