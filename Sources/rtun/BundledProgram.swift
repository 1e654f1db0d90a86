// SPDX-License-Identifier: MIT

import Descriptors

/// The `rtun` that this laptop can give to a server: its own executable, or one beside it for another kind of machine.
struct BundledProgram {
    /// Bytes.
    let size: UInt64
    private let folder: Directory
    private let name: String

    /// Finds the one for `uname -s` and `uname -m`; nil where there is none.
    ///
    /// This very program where they are those of this machine, else `../lib/rtun/rtun-SYSTEM-MACHINE` beside it.
    init?(system: String, machine: String) {
        guard let executable = try? ProcessContext.executablePath(), let slash = executable.lastIndex(of: "/") else {
            return nil
        }
        let home = String(executable[..<slash])
        let path: String
        if (system, Self.common(machine)) == Self.own {
            path = executable
        } else {
            let name = "rtun-\(system.lowercased())-\(Self.common(machine))"
            guard name.utf8.allSatisfy({ $0 != UInt8(ascii: "/") && $0 != 0 }) else { return nil }
            path = home + "/../lib/rtun/" + name
        }
        guard let end = path.lastIndex(of: "/"), let folder = try? Directory.open(String(path[..<end])),
            let status = try? folder.status(String(path[path.index(after: end)...]), followingLink: true),
            status.kind == .file
        else { return nil }
        self.folder = folder
        name = String(path[path.index(after: end)...])
        size = UInt64(status.size)
    }

    /// A descriptor at its first byte.
    func open() throws -> OwnedDescriptor {
        try folder.openFile(name, followingLink: true)
    }

    /// One word for what systems call by two.
    private static func common(_ machine: String) -> String {
        switch machine {
        case "amd64": "x86_64"
        case "aarch64": "arm64"
        default: machine
        }
    }

    private static var own: (String, String) {
        #if os(macOS)
        let system = "Darwin"
        #else
        let system = "Linux"
        #endif
        #if arch(arm64)
        return (system, "arm64")
        #else
        return (system, "x86_64")
        #endif
    }
}
