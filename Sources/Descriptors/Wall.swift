// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import SystemPackage

/// What this process may reach in the file system from some moment on, held by the kernel (Landlock, Linux 5.19).
///
/// Files elsewhere cannot be opened, made, renamed or removed, programs cannot be run, TCP cannot be used, and (from
/// Linux 6.12 on) other processes get no signal. It binds the calling thread and those it makes, so it is raised
/// before there are others. What was opened before stays open.
package struct Wall: ~Copyable {
    /// What may be done below a folder.
    package enum Use: Sendable {
        case read
        /// Reading, writing, making and removing files, folders and symlinks.
        case keep
        /// The same, and binding sockets.
        case keepWithSockets
    }

    /// Why there is none, in half a sentence.
    package enum Absence: Error, Equatable, CustomStringConvertible {
        /// No Landlock in the kernel, or switched off.
        case unsupported
        /// Linux 5.13 to 5.18: it would forbid every rename from one folder to another.
        case tooOld
        /// It would not bind the threads that there are.
        case hasThreads

        package var description: String {
            switch self {
            case .unsupported: "the system has no Landlock"
            case .tooOld: "the kernel's Landlock is too old, Linux 5.19 has what is needed"
            case .hasThreads: "the process has threads already"
            }
        }
    }

    /// The version of the kernel's interface.
    package let version: Int32
    private let rules: OwnedDescriptor

    /// Begins a wall that forbids everything; throws `Absence` where there can be none.
    package static func begin() throws -> Wall {
        guard case .success(let version) = SystemCall.attempt({ descriptors_wall_version() }) else {
            throw Absence.unsupported
        }
        guard version >= 2 else { throw Absence.tooOld }
        let number = try SystemCall.run("landlock_create_ruleset", to: "begin a wall") {
            descriptors_wall_begin(version)
        }
        return Wall(version: version, rules: OwnedDescriptor(adopting: number))
    }

    private init(version: Int32, rules: consuming OwnedDescriptor) {
        self.version = version
        self.rules = rules
    }

    /// Allows a use of a folder and all below it.
    package func allow(_ use: Use, below folder: Directory) throws(SystemError) {
        let number =
            switch use {
            case .read: DESCRIPTORS_WALL_READ
            case .keep: DESCRIPTORS_WALL_KEEP
            case .keepWithSockets: DESCRIPTORS_WALL_KEEP_WITH_SOCKETS
            }
        try allow(Int32(number), folder.descriptor.rawValue)
    }

    /// Allows to read the file, or what is below the folder, at a path.
    package func allowReading(_ path: String) throws(SystemError) {
        let place = OwnedDescriptor(
            adopting: try SystemCall.run("open", to: "find", path: path) { unsafe descriptors_wall_find($0) }
        )
        let kind = try place.status().kind
        try allow(Int32(kind == .directory ? DESCRIPTORS_WALL_READ : DESCRIPTORS_WALL_READ_FILE), place.rawValue)
    }

    /// Raises the wall around this process, for good; throws `hasThreads` where it has more than one.
    package consuming func raise() throws {
        // Without /proc there is no telling, and nothing that would make threads before.
        if let threads = try? Directory.open("/proc/self/task").names(), threads.count != 1 {
            throw Absence.hasThreads
        }
        try raiseForThisThread()
    }

    /// The same for the calling thread alone.
    package consuming func raiseForThisThread() throws(SystemError) {
        let number = rules.rawValue
        try SystemCall.run("landlock_restrict_self", to: "raise the wall") { descriptors_wall_raise(number) }
    }

    private func allow(_ use: Int32, _ place: Int32) throws(SystemError) {
        try SystemCall.run("landlock_add_rule", to: "open the wall for a place") {
            descriptors_wall_allow(rules.rawValue, version, place, use)
        }
    }
}
