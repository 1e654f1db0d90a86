// SPDX-License-Identifier: MIT

private import Descriptors

/// The desktop session of the user who runs the daemon, as it is at this moment.
///
/// A daemon that was started at login, over ssh, or in a session that has ended since does not have the bus and the
/// display of the user's present session among its own variables. They are looked up at each use: what the daemon has
/// counts while its sockets are there, else the user's service manager is asked (`systemctl --user`, Linux).
package struct DesktopSession: Sendable {
    /// The variables that belong to a session; nothing else is taken over.
    private static let names: Set<String> = [
        "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_CURRENT_DESKTOP",
        "XDG_SESSION_TYPE", "DESKTOP_SESSION",
    ]

    package static let current = DesktopSession(
        variable: { ProcessContext.environment($0) },
        socketExists: { path in
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            guard let folder = try? Directory.open(slash == path.startIndex ? "/" : String(path[..<slash])) else {
                return false
            }
            return (try? folder.statusIfPresent(String(path[path.index(after: slash)...])))??.kind == .socket
        },
        manager: Self.askManager
    )

    /// A variable of this process.
    private let variable: @Sendable (String) -> String?
    private let socketExists: @Sendable (String) -> Bool
    /// What the user's service manager has, a `NAME=value` a line, for this runtime folder.
    private let manager: @Sendable (String) async -> String

    package init(
        variable: @escaping @Sendable (String) -> String?,
        socketExists: @escaping @Sendable (String) -> Bool,
        manager: @escaping @Sendable (String) async -> String
    ) {
        self.variable = variable
        self.socketExists = socketExists
        self.manager = manager
    }

    /// Variables that this process lacks, or has from a session that is gone.
    package func changes() async -> [String: String] {
        #if os(macOS)
        return [:]
        #else
        guard !hasDisplay || !hasBus else { return [:] }
        let runtime = variable("XDG_RUNTIME_DIR") ?? "/run/user/\(ProcessContext.effectiveUserID)"
        var changes: [String: String] = [:]
        let bus = runtime + "/bus"
        if !hasBus, socketExists(bus) {
            changes["XDG_RUNTIME_DIR"] = runtime
            changes["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=" + bus
        }
        // Without a manager's bus there is nobody to ask.
        guard !hasDisplay, socketExists(bus) else { return changes }
        for line in await manager(runtime).split(separator: "\n") {
            guard let equals = line.firstIndex(of: "="), Self.names.contains(String(line[..<equals])) else { continue }
            let value = line[line.index(after: equals)...]
            // Values that need quoting ($'…') are none of a session's.
            guard !value.isEmpty, !value.hasPrefix("$'") else { continue }
            changes[String(line[..<equals])] = String(value)
        }
        return changes
        #endif
    }

    private var hasBus: Bool {
        guard let address = variable("DBUS_SESSION_BUS_ADDRESS") else { return false }
        guard address.hasPrefix("unix:path=") else { return true }
        let path = address.dropFirst("unix:path=".count).prefix { $0 != "," && $0 != ";" }
        return socketExists(String(path))
    }

    private var hasDisplay: Bool {
        if let name = variable("WAYLAND_DISPLAY"), !name.isEmpty {
            let runtime = variable("XDG_RUNTIME_DIR") ?? ""
            if socketExists(name.hasPrefix("/") ? name : runtime + "/" + name) { return true }
        }
        guard let display = variable("DISPLAY"), !display.isEmpty else { return false }
        // Only a local display (":1.0") has a socket to look at.
        guard display.hasPrefix(":") else { return true }
        let number = display.dropFirst().prefix { $0.isNumber }
        return socketExists("/tmp/.X11-unix/X\(number)")
    }

    private static func askManager(_ runtime: String) async -> String {
        let program = DesktopProgram(
            name: "systemctl",
            environment: ["XDG_RUNTIME_DIR": runtime],
            timeout: .seconds(2),
            joinsSession: false
        )
        return await program.runReading(["--user", "show-environment"]).output
    }
}
