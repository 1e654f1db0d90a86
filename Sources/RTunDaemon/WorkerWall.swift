// SPDX-License-Identifier: MIT

package import Descriptors
package import Transfer

/// The second wall around the worker: whatever a peer makes of it, the kernel lets it reach these places alone.
package enum WorkerWall {
    /// Whether the wall stands.
    package enum State: Sendable, CustomStringConvertible {
        case stands(version: Int32)
        /// Half a sentence, with nothing of a peer's or the user's in it.
        case absent(reason: String)

        package var description: String {
            switch self {
            case .stands(let version): "landlock \(version)"
            case .absent(let reason): "none: \(reason)"
            }
        }
    }

    /// What libraries read, to count processors and to name the time zone.
    ///
    /// libdispatch looks at its threads in `/proc/TID`, which is not below `/proc/self`, and ends the process where
    /// it cannot. What is private of other processes there (environment, memory, descriptors) the wall keeps closed:
    /// behind it a process may not trace one that is outside.
    private static let systemFiles = [
        "/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/dev/null", "/dev/urandom", "/etc/localtime",
    ]

    /// Raises it; the process must have one thread, with everything open that it needs from elsewhere.
    ///
    /// Written may be: the inbox and the folders of hosts, the state folder, and the folder of the log. Read may be:
    /// the configuration. Where the wall cannot stand the worker goes on without, and says so.
    package static func raise(
        around grounds: [Ground],
        state: StateFolder,
        logFolder: Directory,
        settings: SettingsFile
    ) -> State {
        do {
            guard try !holdsHome(logFolder) else {
                return .absent(reason: "the folder of the log is or holds the home folder")
            }
            let wall = try Wall.begin()
            for ground in grounds { try wall.allow(.keep, below: ground.directory) }
            try wall.allow(.keepWithSockets, below: state.directory)
            try wall.allow(.keep, below: logFolder)
            for path in settings.places + systemFiles {
                // What is not there needs no gate.
                try? wall.allowReading(path)
            }
            let version = wall.version
            try wall.raise()
            return .stands(version: version)
        } catch let absence as Wall.Absence {
            return .absent(reason: "\(absence)")
        } catch {
            return .absent(reason: "the kernel refuses it")
        }
    }

    /// Whether a folder is the user's home or above it: a wall with such a gate would be none.
    private static func holdsHome(_ folder: Directory) throws -> Bool {
        let held = try folder.status()
        guard let home = ProcessContext.environment("HOME"), let path = try? ProcessContext.realPath(of: home) else {
            return try Directory.open("/").status().isSameFile(as: held)
        }
        var above = "/"
        if try Directory.open(above).status().isSameFile(as: held) { return true }
        for name in path.split(separator: "/") {
            above += (above == "/" ? "" : "/") + name
            if try Directory.open(above).status().isSameFile(as: held) { return true }
        }
        return false
    }
}
