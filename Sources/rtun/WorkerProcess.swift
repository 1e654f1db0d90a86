// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import RTunDaemon
import Transfer

/// The process behind the supervisor that talks to peers: what it does before it has a second thread, then its work.
struct WorkerProcess: Sendable {
    private let configuration: DaemonConfiguration
    private let settings: CurrentSettings
    private let folder: StateFolder
    private let inbox: Inbox
    private let grounds: [Ground]
    private let suspects: Suspects
    private let logFile: LogFile
    private let desktop: Result<DesktopProcess, any Error>
    private let wall: WorkerWall.State

    /// Opens what it needs, starts the process that runs the desktop's programs, and raises the wall around itself.
    ///
    /// Called once, while the process has one thread. The order counts: the desktop's process stays outside.
    init(_ command: ServerCommand) throws {
        folder = try StateFolder()
        let file = SettingsFile()
        settings = try CurrentSettings(file)
        configuration = try command.configuration(folder, settings.value)
        inbox = try Inbox(path: configuration.inboxPath)
        let slash = configuration.logPath.lastIndex(of: "/") ?? configuration.logPath.startIndex
        let logFolder = try Directory.open(
            slash == configuration.logPath.startIndex ? "/" : String(configuration.logPath[..<slash])
        )
        logFile = try LogFile(
            in: logFolder,
            name: String(configuration.logPath[configuration.logPath.index(after: slash)...])
        )
        _ = ProcessContext.setUmask(0o077)
        _ = try? ProcessContext.raiseDescriptorLimit()
        suspects = try Suspects(in: folder.directory, afterCrash: configuration.followsCrash)
        grounds = Ground.all(inbox, settings.value)
        let grounds = grounds
        desktop = Result { try DesktopProcess.start(for: grounds) }
        wall = WorkerWall.raise(around: grounds, state: folder, logFolder: logFolder, settings: file)
    }

    /// Talks to peers until it is told to stop; its exit code tells the supervisor whether to start another.
    func serve() async throws -> ExitStatus {
        let ending = try await Daemon(
            configuration,
            settings: settings,
            folder: folder,
            inbox: inbox,
            grounds: grounds,
            suspects: suspects,
            logFile: logFile,
            wall: wall
        )
        .run(
            socket: OwnedDescriptor(adopting: Supervisor.Inherited.socket),
            control: OwnedDescriptor(adopting: Supervisor.Inherited.control),
            supervisor: OwnedDescriptor(adopting: Supervisor.Inherited.link),
            desktop: desktop
        ) {
            ReadySignal.give(on: Supervisor.Inherited.link)
        }
        if ending == .renewal { throw ExitCode(Supervisor.renewalCode) }
        return .success
    }
}
