// SPDX-License-Identifier: MIT
import Descriptors

/// Hands a file to the application that the user has chosen for its type: `open` on macOS, `xdg-open` elsewhere.
///
/// Only files that `ViewType` judged may get here, under a name that the daemon made. On macOS the file is marked as
/// quarantined first, as a browser does, so that the system itself asks before anything is run; a file that cannot be
/// marked is not opened.
package struct Opener: Sendable {
    /// What became of a file.
    package enum Outcome: Equatable, Sendable {
        /// The desktop took the file.
        case opened
        /// The desktop refused it, or did not answer in time. The reason is a sentence.
        case failed(reason: String)
        /// There is nothing here that could open a file: no program for it, or no desktop session.
        case unavailable(reason: String)
    }

    /// The desktops that differ in how files are opened.
    package enum Platform: Sendable {
        case macOS
        case freedesktop

        /// The one this was built for.
        package static var current: Platform {
            #if os(macOS)
            .macOS
            #else
            .freedesktop
            #endif
        }
    }

    private let platform: Platform
    private let environment: [String: String?]
    private let timeout: Duration
    private let wallClock: @Sendable () -> Int64

    /// Makes an opener; nothing is looked up before the first file.
    ///
    /// - Parameters:
    ///   - platform: whose programs are used.
    ///   - environment: variables that replace (or, with nil, remove) those of this process for the opener.
    ///   - timeout: how long each program may take before it is killed.
    ///   - wallClock: seconds since 1970, written into the quarantine mark.
    package init(
        platform: Platform = .current,
        environment: [String: String?] = [:],
        timeout: Duration = .seconds(3),
        wallClock: @escaping @Sendable () -> Int64 = { Timestamp.now().seconds }
    ) {
        self.platform = platform
        self.environment = environment
        self.timeout = timeout
        self.wallClock = wallClock
    }

    /// Opens the file at `path`, an absolute path that the daemon made, and waits until the desktop has taken it.
    package func open(_ path: String) async -> Outcome {
        // An absolute path cannot be read as an option, so no `--` is needed (xdg-open knows none).
        guard path.utf8.first == UInt8(ascii: "/"), !path.utf8.contains(0) else {
            return .failed(reason: "only a file with an absolute path can be opened")
        }
        if let failure = await mark(path) { return failure }
        switch platform {
        case .macOS: return outcome(of: await run("open", [path]), program: "open")
        case .freedesktop: return outcome(of: await run("xdg-open", [path]), program: "xdg-open")
        }
    }

    /// Puts a file under quarantine (macOS), also one that is shown already; nil where that is done or not needed.
    @discardableResult
    package func mark(_ path: String) async -> Outcome? {
        guard platform == .macOS else { return nil }
        let mark = Self.quarantine(at: wallClock(), identifier: Self.randomIdentifier())
        let marking = await run("xattr", ["-w", "com.apple.quarantine", mark, path])
        guard marking != .exited(code: 0) else { return nil }
        return .failed(reason: "the file could not be put under quarantine: \(marking.reason(program: "xattr"))")
    }

    private func run(_ program: String, _ arguments: [String]) async -> DesktopProgram.Ending {
        await DesktopProgram(name: program, environment: environment, timeout: timeout).run(arguments)
    }

    private func outcome(of ending: DesktopProgram.Ending, program: String) -> Outcome {
        switch ending {
        case .exited(code: 0): .opened
        case .notFound: .unavailable(reason: ending.reason(program: program))
        // xdg-open(1): 3 = a required tool could not be found, which is also its answer without a desktop session.
        case .exited(code: 3) where platform == .freedesktop:
            .unavailable(reason: "xdg-open found no program that can open files; is there a desktop session?")
        // Without a desktop environment xdg-open stays in front of the viewer that it started.
        case .leftRunning where platform == .freedesktop: .opened
        case .exited, .killed, .stopped, .leftRunning, .notStarted: .failed(reason: ending.reason(program: program))
        }
    }

    /// The value of `com.apple.quarantine`: flags 0x0083 (downloaded, ask before the first run), time, agent, id.
    static func quarantine(at seconds: Int64, identifier: String) -> String {
        "0083;\(String(max(0, seconds), radix: 16));rtun;\(identifier)"
    }

    /// A random UUID, version 4, in capitals.
    static func randomIdentifier() -> String {
        var generator = SystemRandomNumberGenerator()
        let high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = Array((hexadecimal(high) + hexadecimal(low)))
        return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
            .map { String($0) }.joined(separator: "-")
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
