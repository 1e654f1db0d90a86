// SPDX-License-Identifier: MIT

package import Descriptors
private import NIOPosix
private import Synchronization
private import UnixSignals

/// Holds the lock and the listening sockets, parses no byte of any peer, and keeps one daemon process running.
///
/// A daemon that dies is started again within a second on the same sockets; five deaths in a minute end it all.
package struct Supervisor: Sendable {
    /// Descriptors under which the daemon process finds what it inherits.
    package enum Inherited {
        package static let socket: Int32 = 3
        package static let control: Int32 = 4
        /// One byte when it listens; its end is the daemon's order to stop.
        package static let link: Int32 = 5
    }

    /// Why a daemon cannot be started.
    package enum Fault: Error, CustomStringConvertible {
        case alreadyRunning
        case socketInUse(String)
        case openFolder(String)
        case keepsDying
        case died

        package var description: String {
            switch self {
            case .alreadyRunning: "the daemon is already running; stop it with: rtun server --stop"
            case .socketInUse(let path): "another program listens at \(path)"
            case .openFolder(let path):
                "the folder of \(path) must be yours, no symlink, and nobody else's to write: "
                    + "whoever can put a socket there gets what is meant for you"
            case .keepsDying: "the daemon died five times in a minute; the log says why"
            case .died: "the daemon ended before it listened; the log says why"
            }
        }
    }

    /// What a daemon process is told that follows one that has crashed.
    package static let afterCrash = "--after-crash"
    /// The exit code of a daemon process that asks for another in its place.
    package static let renewalCode: Int32 = 75
    private static let deathLimit = 5
    private static let deathWindow: Duration = .seconds(60)

    private let folder: Directory
    private let socketPath: String
    private let controlPath: String

    package init(folder: Directory, socketPath: String, controlPath: String) {
        self.folder = folder
        self.socketPath = socketPath
        self.controlPath = controlPath
    }

    /// Runs until the daemon is told to stop; removes its own sockets at the end.
    ///
    /// `arguments` start the daemon process; `listening` is called once, when it accepts connections.
    package func run(arguments: [String], listening: @escaping @Sendable () -> Void) async throws {
        let lock = try folder.openForAppending("daemon.lock")
        guard try lock.lockExclusively() else { throw Fault.alreadyRunning }
        let sockets = Sockets(
            peers: try ListeningSocket(path: socketPath),
            control: try ListeningSocket(path: controlPath)
        )
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let current = CurrentChild()
        let outcome: Result<Void, any Error> = await withTaskGroup(of: Result<Void, any Error>?.self) { group in
            group.addTask {
                for await signal in signals { current.signal(signal) }
                return nil
            }
            group.addTask {
                do {
                    try await keepRunning(sockets, arguments, pool, current, listening)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
            defer { group.cancelAll() }
            while let ended = await group.next() {
                if let ended { return ended }
            }
            return .success(())
        }
        sockets.peers.remove()
        sockets.control.remove()
        try await pool.shutdownGracefully()
        // Held to here: whoever gets the lock finds no socket of ours.
        try lock.close()
        try outcome.get()
    }

    private struct Sockets: Sendable {
        let peers: ListeningSocket
        let control: ListeningSocket
    }

    private enum Ending {
        case stopped
        case killed
        /// It died by a fault of its own.
        case crashed
        case neverListened
        /// It asked to be followed by another: settings or the desktop's process need a new start.
        case renewed
    }

    /// Starts the daemon again whenever it dies, until it stops by itself or dies too often.
    private func keepRunning(
        _ sockets: Sockets,
        _ arguments: [String],
        _ pool: NIOThreadPool,
        _ current: CurrentChild,
        _ listening: @escaping @Sendable () -> Void
    ) async throws {
        var deaths: [Duration] = []
        var hasListened = false
        var afterCrash: [String] = []
        while true {
            let announce: @Sendable () -> Void = hasListened ? { @Sendable in } : listening
            let ending = try await serve(sockets, arguments + afterCrash, pool, current, announce)
            afterCrash = ending == .crashed ? [Self.afterCrash] : []
            if ending == .stopped || current.isToldToStop { return }
            guard ending != .neverListened || hasListened else { throw Fault.died }
            if ending == .renewed { continue }
            hasListened = true
            let now = ProcessContext.monotonicNow
            deaths = deaths.filter { now - $0 < Self.deathWindow } + [now]
            guard deaths.count < Self.deathLimit else { throw Fault.keepsDying }
        }
    }

    /// Runs one daemon process to its end.
    private func serve(
        _ sockets: Sockets,
        _ arguments: [String],
        _ pool: NIOThreadPool,
        _ current: CurrentChild,
        _ listening: @escaping @Sendable () -> Void
    ) async throws -> Ending {
        var pair = try UnixSocket.pair()
        let mine = pair.takeFirst()
        let theirs = pair.takeSecond()
        let child = try ChildProcess.spawn(
            executable: try ProcessContext.executablePath(),
            arguments: arguments,
            environment: ProcessContext.allEnvironment,
            descriptors: [
                (child: 2, parent: 2), (child: Inherited.socket, parent: sockets.peers.descriptor.rawValue),
                (child: Inherited.control, parent: sockets.control.descriptor.rawValue),
                (child: Inherited.link, parent: theirs.rawValue),
            ]
        )
        try theirs.close()
        current.set(child)
        let link = DaemonLink(mine)
        let isListening = try await pool.runIfActive { try link.waitUntilListening() }
        if isListening { listening() }
        let ending = try await pool.runIfActive {
            let ending = try child.wait()
            current.set(nil)
            return ending
        }
        if ending == .exited(0) { return .stopped }
        // SIGHUP came before it was listened for: the next one reads the settings as well.
        if ending == .signalled(UnixSignal.sighup.number) { return .renewed }
        guard isListening else { return .neverListened }
        if ending == .exited(Self.renewalCode) { return .renewed }
        // Killed from outside, by a user or for want of memory, says nothing about what it was doing.
        if case .signalled(9) = ending { return .killed }
        return .crashed
    }
}

/// The daemon process that runs now, and the signals passed on to it.
private final class CurrentChild: Sendable {
    private struct State {
        var child: ChildProcess?
        var isToldToStop = false
    }

    private let state = Mutex(State())

    /// SIGTERM or SIGINT has come: a daemon that ends is not started again.
    var isToldToStop: Bool { state.withLock { $0.isToldToStop } }

    func set(_ child: ChildProcess?) {
        state.withLock { $0.child = child }
    }

    func signal(_ signal: UnixSignal) {
        state.withLock { state in
            if signal != .sighup { state.isToldToStop = true }
            // It may have ended just now; then there is nobody to tell.
            try? state.child?.signal(signal.number)
        }
    }
}

/// The supervisor's end of the link to its daemon.
///
/// Closing it, also by dying, stops the daemon.
private final class DaemonLink: Sendable {
    private let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// Blocks until the daemon says that it listens; false where it ended first.
    func waitUntilListening() throws -> Bool {
        let slab = try Slab(capacity: 1)
        return try slab.withMutableBytes(0..<1) { (span: inout MutableRawSpan) throws(SystemError) in
            try descriptor.readSome(into: &span)
        } == 1
    }
}

extension UnixSignal {
    /// The signal's number, the same on Linux and macOS for those that are passed on.
    fileprivate var number: Int32 {
        switch self {
        case .sighup: 1
        case .sigint: 2
        default: 15
        }
    }
}
