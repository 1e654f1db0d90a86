// SPDX-License-Identifier: MIT
import Foundation
import RTunDaemon
import Testing

struct OpenerTests {
    private let programs: RecorderFolder

    init() throws {
        programs = try RecorderFolder()
    }

    private func opener(_ platform: Opener.Platform, timeout: Duration = .seconds(30)) -> Opener {
        Opener(
            platform: platform,
            environment: programs.environment,
            timeout: timeout,
            wallClock: { 0x6543_2100 }
        )
    }

    @Test("xdg-open gets the path as its only argument")
    func opensOnLinux() async throws {
        try programs.install("xdg-open", script: RecorderFolder.recording)
        #expect(await opener(.freedesktop).open("/tmp/a b;$(x)\n-.png") == .opened)
        #expect(try programs.recorded() == ["/tmp/a b;$(x)\n-.png"])
    }

    @Test("the opener has no standard input, output or error of ours, and a session of its own")
    func isolatesPrograms() async throws {
        try programs.install(
            "xdg-open",
            script: """
                for number in 0 1 2; do [ "/dev/fd/$number" -ef /dev/null ] || exit 20; done
                kill -s 0 -- -$$ || exit 21
                """
        )
        #expect(await opener(.freedesktop).open("/x") == .opened)
    }

    @Test("macOS: the quarantine mark is set before the file is opened")
    func quarantines() async throws {
        try programs.install("xattr", script: RecorderFolder.recording)
        try programs.install("open", script: RecorderFolder.recording)
        #expect(await opener(.macOS).open("/tmp/x.pdf") == .opened)
        let calls = try programs.recorded()
        try #require(calls.count == 5)
        #expect(Array(calls[0...1]) == ["-w", "com.apple.quarantine"])
        #expect(
            calls[2].wholeMatch(
                of: /0083;65432100;rtun;[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}/
            ) != nil
        )
        #expect(Array(calls[3...4]) == ["/tmp/x.pdf", "/tmp/x.pdf"])
    }

    @Test("macOS: a file that cannot be marked is not opened")
    func refusesWithoutQuarantine() async throws {
        try programs.install("xattr", script: "exit 1")
        try programs.install("open", script: RecorderFolder.recording)
        #expect(
            await opener(.macOS).open("/tmp/x.pdf")
                == .failed(reason: "the file could not be put under quarantine: xattr ended with code 1")
        )
        #expect(try programs.recorded().isEmpty)
    }

    @Test("an opener that stays in front of its viewer is ended and reaped, and the viewer lives on")
    func stopsHungOpener() async throws {
        // The opener tells its own process number and that of its "viewer", then hangs until it is killed.
        try programs.install(
            "xdg-open",
            script: """
                "$SLEEP" 60 &
                printf '%s\\0%s\\0' $$ $! >> "$RECORD"
                while :; do wait; "$SLEEP" 60; done
                """
        )
        // A busy machine may not come as far within the first time.
        var processes: [Int32] = []
        var outcome: Opener.Outcome?
        for timeout in [200, 2_000, 20_000] where processes.isEmpty {
            outcome = await opener(.freedesktop, timeout: .milliseconds(timeout)).open("/x")
            processes = try programs.recorded().compactMap { Int32($0) }
        }
        try #require(processes.count == 2)
        #expect(outcome == .opened)
        #expect(kill(processes[0], 0) == -1 && errno == ESRCH)
        #expect(kill(processes[1], SIGKILL) == 0)
    }

    @Test("an opener that hangs with nothing to show is ended, and told")
    func stopsOpenerThatShowsNothing() async throws {
        try programs.install("xdg-open", script: "exec \"$SLEEP\" 60")
        let outcome = await opener(.freedesktop, timeout: .milliseconds(200)).open("/x")
        #expect(outcome == .failed(reason: "xdg-open did not answer in time and was stopped"))
    }

    @Test("cancelling the task ends the opener too")
    func stopsWhenCancelled() async throws {
        try programs.install("xdg-open", script: "exec \"$SLEEP\" 60")
        let opening = Task { [opener = opener(.freedesktop)] in await opener.open("/x") }
        opening.cancel()
        #expect(await opening.value == .failed(reason: "xdg-open did not answer in time and was stopped"))
    }

    @Test("without xdg-open, or without anything behind it, opening is unavailable")
    func tellsUnavailable() async throws {
        #expect(await opener(.freedesktop).open("/x") == .unavailable(reason: "xdg-open was not found on PATH"))
        try programs.install("xdg-open", script: "exit 3")
        guard case .unavailable = await opener(.freedesktop).open("/x") else {
            Issue.record("code 3 of xdg-open means that there is nothing to open with")
            return
        }
    }

    @Test(
        "other endings are failures with a reason",
        arguments: [
            ("exit 4", "xdg-open ended with code 4"), ("kill -9 $$", "xdg-open was ended by signal 9"),
        ]
    )
    func tellsFailures(_ script: String, _ reason: String) async throws {
        try programs.install("xdg-open", script: script)
        #expect(await opener(.freedesktop).open("/x") == .failed(reason: reason))
    }

    @Test(
        "a path that could be an option, or is cut by NUL, starts nothing",
        arguments: ["--help", "a.png", "", "/a\0b"]
    )
    func refusesPaths(_ path: String) async throws {
        try programs.install("xdg-open", script: RecorderFolder.recording)
        guard case .failed = await opener(.freedesktop).open(path) else {
            Issue.record("\(path.debugDescription) must be refused")
            return
        }
        #expect(try programs.recorded().isEmpty)
    }
}

/// A folder that is the whole PATH of the programs under test, holding scripts that the test installs.
final class RecorderFolder: Sendable {
    /// A script that appends its arguments, each ended by NUL, to the record.
    static let recording = #"for word in "$@"; do printf '%s\0' "$word"; done >> "$RECORD""#

    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("recorder-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    /// PATH is this folder alone; the scripts find the real tools through absolute names in variables.
    var environment: [String: String?] {
        ["PATH": folder.path, "RECORD": record.path, "SLEEP": "/bin/sleep"]
    }

    private var record: URL { folder.appendingPathComponent("record") }

    func install(_ name: String, script: String) throws {
        let file = folder.appendingPathComponent(name)
        // The scripts themselves may use the system's tools.
        let text = "#!/bin/sh\nPATH=/usr/bin:/bin\n\(script)\n"
        // Written under another name first: nothing may hold the program open for writing when it is started.
        try Data(text.utf8).write(to: file, options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    }

    /// The arguments that were recorded so far, of all calls in order.
    func recorded() throws -> [String] {
        guard FileManager.default.fileExists(atPath: record.path) else { return [] }
        return try Data(contentsOf: record).split(separator: 0, omittingEmptySubsequences: false).dropLast()
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
