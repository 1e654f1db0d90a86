// SPDX-License-Identifier: MIT

/// What the command line says about a daemon.
package struct DaemonConfiguration: Sendable {
    package var socketPath: String
    package var controlPath: String
    package var inboxPath: String
    package var logPath: String
    /// Name and version, told to clients.
    package var software: String
    /// The daemon process before this one has crashed.
    package var followsCrash = false

    package init(socketPath: String, controlPath: String, inboxPath: String, logPath: String, software: String) {
        self.socketPath = socketPath
        self.controlPath = controlPath
        self.inboxPath = inboxPath
        self.logPath = logPath
        self.software = software
    }
}
