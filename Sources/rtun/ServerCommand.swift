// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors
import NIOCore
import RTunDaemon
import Transfer

/// `rtun server`: the daemon on the laptop.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Run the daemon on your own computer.",
        discussion: """
            Listens on a socket that `ssh -R` forwards, and puts what arrives into the inbox.

            Exit codes: 0 it runs (-d), it ran and was stopped, or it was running already (-d); 1 it does not run; \
            64 usage.
            """
    )

    @Option(name: .shortAndLong, help: "The socket to listen on (default: ~/.rtun/rtun.sock).")
    var socket: String?

    @Option(name: [.customShort("D"), .long], help: "The inbox (default: rtun in your downloads).")
    var dir: String?

    @Option(name: .shortAndLong, help: "The log file (default: ~/.rtun/rtun.log).")
    var log: String?

    @Flag(name: .shortAndLong, help: "Go to the background once the socket answers.")
    var daemon = false

    @Flag(help: "Stop the running daemon.")
    var stop = false

    @Flag(help: "Check config.toml and start nothing.")
    var checkConfig = false

    @Flag(help: "Run the daemon from every login on, with the options given here; starts it now.")
    var install = false

    @Flag(help: "Take that back; stops the daemon.")
    var uninstall = false

    /// The process that serves peers, started by the one that holds the sockets: `WorkerProcess`, not `run`.
    @Flag(help: .hidden) var worker = false

    /// The process before this one has crashed.
    @Flag(help: .hidden) var afterCrash = false

    /// Descriptor that gets one byte when the daemon listens.
    @Option(help: .hidden) var readyDescriptor: Int32?

    func run() async throws {
        try await Client.run {
            let folder = try StateFolder()
            if stop { return try await stopDaemon(folder) }
            if uninstall { return try await uninstallService(folder) }
            let file = SettingsFile()
            let settings = try CurrentSettings(file)
            if checkConfig {
                StandardStream.output.line("\(safe(file.path ?? "config.toml")): no fault")
                return .success
            }
            let configuration = try configuration(folder, settings.value)
            let inbox = try Inbox(path: configuration.inboxPath)
            if install { return try await installService(folder) }
            if daemon { return try await startInBackground(configuration, inbox, folder) }
            return try await supervise(configuration, inbox, folder)
        }
    }

    /// What the options and the settings say of the daemon.
    func configuration(_ folder: StateFolder, _ settings: Settings) throws -> DaemonConfiguration {
        var configuration = DaemonConfiguration(
            socketPath: try absolute(socket ?? folder.path + "/rtun.sock"),
            controlPath: folder.path + "/ctl.sock",
            inboxPath: try dir ?? settings.inbox ?? Inbox.defaultPath(),
            logPath: try absolute(log ?? folder.path + "/rtun.log"),
            software: RTun.software
        )
        configuration.followsCrash = afterCrash
        _ = try UnixAddress(path: configuration.socketPath)
        _ = try UnixAddress(path: configuration.controlPath)
        return configuration
    }

    // MARK: - The supervisor

    /// In the foreground: holds the sockets and keeps a worker running.
    private func supervise(
        _ configuration: DaemonConfiguration,
        _ inbox: Inbox,
        _ folder: StateFolder
    ) async throws -> ExitStatus {
        let supervisor = Supervisor(
            folder: folder.directory,
            socketPath: configuration.socketPath,
            controlPath: configuration.controlPath
        )
        let ready = readyDescriptor
        do {
            try await supervisor.run(arguments: arguments(configuration, inbox) + ["--worker"]) {
                StandardStream.error.line("rtun: listening on \(safe(configuration.socketPath))")
                StandardStream.error.line("rtun: what arrives goes to \(safe(inbox.path))")
                if let ready { ReadySignal.give(on: ready) }
            }
        } catch {
            // In the background nobody sees what it prints.
            if let ready { ReadySignal.give(on: ready, Array("\(error)".utf8)) }
            throw error
        }
        return .success
    }

    /// Starts the supervisor in a session of its own and returns when the socket answers.
    private func startInBackground(
        _ configuration: DaemonConfiguration,
        _ inbox: Inbox,
        _ folder: StateFolder
    ) async throws -> ExitStatus {
        let running = LaptopDaemon(folder: folder)
        let address = try UnixAddress(path: configuration.socketPath)
        if let version = await running.version(at: address) {
            if version == RTun.software {
                StandardStream.error.line("rtun: the daemon is already running")
                return .success
            }
            StandardStream.error.line("rtun: replacing the running daemon, \(safe(version)), by \(RTun.software)")
            try await running.drain()
            guard try await running.stop() else {
                StandardStream.error.line("rtun: the daemon was told to stop and has not ended yet")
                return .failure
            }
        }
        var pair = try UnixSocket.pair()
        let mine = pair.takeFirst()
        let theirs = pair.takeSecond()
        _ = try ChildProcess.spawn(
            executable: try ProcessContext.executablePath(),
            arguments: arguments(configuration, inbox) + ["--ready-descriptor", "3"],
            // Its current folder is another one.
            environment: ProcessContext.allEnvironment.filter { !$0.hasPrefix("RTUN_DIR=") }
                + ["RTUN_DIR=\(folder.path)"],
            descriptors: [(child: 3, parent: theirs.rawValue)],
            newSession: true,
            workingDirectory: "/"
        )
        try theirs.close()
        let signal = try await ReadySignal.wait(on: mine)
        guard await running.version(at: address) != nil else {
            let reason = signal.map { String(decoding: $0, as: UTF8.self) }
            StandardStream.error.line(
                "rtun: " + safe(reason ?? "the daemon did not start; \(configuration.logPath) may say why")
            )
            return .failure
        }
        if signal != ReadySignal.listening { StandardStream.error.line("rtun: the daemon is already running") }
        return .success
    }

    private func stopDaemon(_ folder: StateFolder) async throws -> ExitStatus {
        let running = LaptopDaemon(folder: folder)
        guard try await running.ask("STATUS") != nil else {
            StandardStream.error.line("rtun: no daemon is running")
            return .success
        }
        if try await running.stop() { return .success }
        StandardStream.error.line("rtun: the daemon was told to stop and has not ended yet")
        return .failure
    }

    // MARK: - At login

    private func installService(_ folder: StateFolder) async throws -> ExitStatus {
        // Only what was given: the rest is the configuration's, now and later.
        let given = [("--socket", socket), ("--dir", dir), ("--log", log)]
        let options = try given.flatMap { name, path in try path.map { [name, try absolute($0)] } ?? [] }
        let service = LoginService(
            command: [try ProcessContext.executablePath(), "server"] + options,
            environment: ["PATH", "RTUN_DIR"].compactMap { name in
                ProcessContext.environment(name).map { (name, $0) }
            }
        )
        let path = try service.write()
        StandardStream.error.line("rtun: wrote \(safe(path))")
        // A daemon that was started by hand holds the lock.
        _ = try await LaptopDaemon(folder: folder).stop()
        return try await control(.start, otherwise: "it runs from the next login on; to start it now")
    }

    private func uninstallService(_ folder: StateFolder) async throws -> ExitStatus {
        _ = try? await LoginService.control(.stop)
        guard try LoginService.remove() else {
            StandardStream.error.line("rtun: no service is installed")
            return .success
        }
        _ = try? await LoginService.control(.forget)
        StandardStream.error.line("rtun: the service is removed")
        return try await stopDaemon(folder)
    }

    /// Tells the service manager; where there is none to tell, says what to type.
    private func control(_ verb: LoginService.Verb, otherwise advice: String) async throws -> ExitStatus {
        let refusal: String?
        do {
            refusal = try await LoginService.control(verb)
        } catch let error as Program.Missing {
            refusal = error.description
        }
        guard let refusal else { return .success }
        let typed = try LoginService.commands(verb).map { ([$0.0] + $0.1).joined(separator: " ") }
        StandardStream.error.line("rtun: \(safe(refusal))")
        StandardStream.error.line("rtun: \(advice): \(safe(typed.joined(separator: " && ")))")
        return .failure
    }

    // MARK: - Parts

    private func arguments(_ configuration: DaemonConfiguration, _ inbox: Inbox) -> [String] {
        ["server", "--socket", configuration.socketPath, "--dir", inbox.path, "--log", configuration.logPath]
    }

    private func absolute(_ path: String) throws -> String {
        path.hasPrefix("/") ? path : try ProcessContext.currentDirectory() + "/" + path
    }
}

/// One byte through an inherited descriptor says that the daemon listens; anything else says why it does not.
enum ReadySignal {
    static let listening: [UInt8] = [1]

    /// The descriptor stays open where it is also the order to stop.
    static func give(on number: Int32, _ signal: [UInt8] = listening) {
        let descriptor = OwnedDescriptor(adopting: number)
        do throws(SystemError) {
            try signal.withSpan { (span: RawSpan) throws(SystemError) in try descriptor.writeAll(span) }
        } catch {
            // Whoever waited is gone.
        }
        _ = descriptor.relinquish()
    }

    /// What was said; nil where the daemon ended without a word.
    static func wait(on descriptor: consuming OwnedDescriptor) async throws -> [UInt8]? {
        let connection = try await SocketConnection.adopting(descriptor, on: Client.group)
        let timer = connection.deadline(in: 20)
        defer {
            timer.cancel()
            connection.close()
        }
        return try await connection.receive().map { Array($0.readableBytesView) }
    }
}
