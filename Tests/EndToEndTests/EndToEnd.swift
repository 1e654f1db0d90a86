// SPDX-License-Identifier: MIT

import TestSupport
import Testing

/// What users see: the built `rtun` against the commands, promises and exit codes in README.md, and nothing of its inside.
///
/// One after the other: each of these keeps several processes busy.
@Suite("End to end", .serialized, .timeLimit(.minutes(5)))
struct EndToEnd {
    /// The daemon of the running suite; a suite with the trait `.daemon` or `.tunnel` has one.
    @TaskLocal static var daemon: DaemonUnderTest?
    /// The tunnel of the running suite; a suite with the trait `.tunnel` has one.
    @TaskLocal static var tunnel: LoopbackSSH?
}

/// Starts a daemon for all tests of a suite, and ends it after them; it has to end well.
struct DaemonTrait: SuiteTrait, TestScoping {
    @concurrent
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing tests: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let daemon = try await DaemonUnderTest.start()
        try await EndToEnd.$daemon.withValue(daemon, operation: tests)
        try await daemon.stop()
    }
}

/// Starts a daemon and a real `ssh -R` to it for all tests of a suite, and ends both after them.
struct TunnelTrait: SuiteTrait, TestScoping {
    @concurrent
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing tests: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let daemon = try await DaemonUnderTest.start()
        let tunnel = try await LoopbackSSH.start(to: daemon)
        try await EndToEnd.$daemon.withValue(daemon) {
            try await EndToEnd.$tunnel.withValue(tunnel, operation: tests)
        }
        try await tunnel.stop()
        try await daemon.stop()
    }
}

extension Trait where Self == DaemonTrait {
    /// A daemon for the suite.
    static var daemon: Self { DaemonTrait() }
}

extension Trait where Self == TunnelTrait {
    /// A daemon for the suite, and a tunnel to it.
    static var tunnel: Self { TunnelTrait() }
}
