// SPDX-License-Identifier: MIT

package import Descriptors
private import SystemPackage

/// Something at the source that was not sent, or not as it stood: a line for the user, and exit code 5 unless benign.
package struct SourceProblem: Error, Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case unreadable(SystemError)
        case vanished
        case changed
        /// Grew while it was read; its size at open was sent. Benign.
        case grew
        case name(EntryName.Fault)
        case special(FileKind)
        case linkLeavesTree
        case tooDeep
        case unsizedTooLong
        case loop
        /// Refused by the laptop.
        case rejected(RejectCause)
        /// A daemon of the original tool cannot take it, or refused it; half a sentence, as it came.
        case notForOriginal(String)
    }

    /// As the user knows it, byte for byte: a name need not be text.
    private let pathBytes: [UInt8]
    package let kind: Kind

    package init(path: String, kind: Kind) {
        self.init(pathBytes: Array(path.utf8), kind: kind)
    }

    package init(pathBytes: [UInt8], kind: Kind) {
        self.pathBytes = pathBytes
        self.kind = kind
    }

    /// The path as text, for programs; where it is none, as it is shown, so that two names never look alike.
    package var path: String { String(validating: pathBytes, as: UTF8.self) ?? shownPath }

    /// The path fit for a terminal: what is no text stands there as `\xNN`.
    package var shownPath: String { SafeText(bytes: pathBytes).description }

    /// A benign problem is told and changes no exit code.
    package var isBenign: Bool { kind == .grew }

    /// A failed system call on a source, with "not there any more" told apart.
    init(path: String, error: SystemError) {
        self.init(path: path, kind: error.errno == .noSuchFileOrDirectory ? .vanished : .unreadable(error))
    }

    /// What happened, without the path.
    package var explanation: String {
        switch kind {
        case .unreadable(let error): error.sentence
        case .vanished: "vanished before it was read"
        case .changed: "changed while it was read"
        case .grew: "grew while it was read; its size at the start was sent"
        case .name(let fault): fault.rawValue
        case .special(let kind): "is a \(kind.noun), which is not sent"
        case .linkLeavesTree: "is a symlink that leaves the tree"
        case .tooDeep: "is deeper than \(ArchiveLimits.depth) folders or its path is too long"
        case .unsizedTooLong: "has no size; send it with: rtun send - --name NAME < FILE"
        case .loop: "is a symlink to a folder that holds it"
        case .notForOriginal(let reason): SafeText(reason, limit: 512).description
        case .rejected(.nameStands): "its name is the same as another one's on the laptop's file system"
        case .rejected(.linkLeavesTree): "is a symlink that leaves the tree"
        case .rejected(.folderRefused): "what holds it, or what it links to, was refused"
        case .rejected(.nameNotTaken): "the laptop's file system does not take its name"
        }
    }
}

extension SystemError {
    /// The reason alone: "Permission denied".
    fileprivate var sentence: String { "\(errno)" }
}

extension FileKind {
    fileprivate var noun: String {
        switch self {
        case .file: "file"
        case .directory: "folder"
        case .symlink: "symlink"
        case .fifo: "named pipe"
        case .socket: "socket"
        case .characterDevice, .blockDevice: "device"
        case .unknown: "file of unknown kind"
        }
    }
}
