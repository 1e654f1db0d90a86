// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What the laptop's `config.toml` changes, for the server and on the laptop.
    @Suite("Per-host settings")
    struct SettingsTests {
        private func rtun(_ daemon: DaemonUnderTest, _ socket: String, _ arguments: String...) async throws -> RunResult
        {
            try await BuiltBinary.run(
                arguments + ["-s", socket],
                environment: DaemonUnderTest.environment(home: daemon.server),
                folder: daemon.server
            )
        }

        @Test("A host's section governs that host alone, and refusals name the setting; SIGHUP changes it")
        func perHost() async throws {
            let daemon = try await DaemonUnderTest.start(
                configuration: """
                    name = "desk"
                    [host.quiet]
                    notify = false
                    view = ["default", "html"]
                    """
            )
            // A host that has settings has a socket without being asked for.
            let quiet = daemon.laptop + "/.rtun/s/quiet.sock"
            #expect(SilentListener.accepts(quiet))
            #expect(try await rtun(daemon, quiet, "ping", "-v").stdout.contains("laptop      desk\n"))
            let refused = try await rtun(daemon, quiet, "notify", "hush")
            #expect(refused.status == 6, "\(refused)")
            #expect(refused.stderr.contains("host.quiet.notify"), "\(refused)")
            #expect(try await daemon.rtun("notify", "heard").status == 0)

            let page = "<!DOCTYPE html><html><body>x</body></html>\n"
            try TreeMaker.write(page, to: daemon.server + "/page.html")
            #expect(try await rtun(daemon, quiet, "view", "page.html").status == 0)
            let desktop = daemon.desktop
            #expect(await Waiting.until { desktop.opened().contains { $0.contents == Array(page.utf8) } })
            let saved = try await daemon.rtun("view", "page.html")
            #expect(saved.status == 6, "\(saved)")
            #expect((saved.stdout + saved.stderr).contains("host.default.view"), "\(saved)")
            #expect(!desktop.notifications().contains { $0.arguments.contains { $0.contains("hush") } })

            try daemon.configure("[host.quiet]\ndir = \"\(daemon.laptop)/elsewhere\"\n")
            daemon.reload()
            #expect(await Waiting.until { daemon.log.contains("the configuration was read again") })
            // A folder that the worker cannot reach makes a new one necessary.
            #expect(await Waiting.until { daemon.log.components(separatedBy: " listening").count == 3 })
            #expect(try await rtun(daemon, quiet, "notify", "spoken").status == 0)
            try TreeMaker.write("there", to: daemon.server + "/a.txt")
            #expect(try await rtun(daemon, quiet, "send", "a.txt").status == 0)
            #expect(try String(contentsOfFile: daemon.laptop + "/elsewhere/a.txt", encoding: .utf8) == "there")

            // A broken file changes nothing.
            try daemon.configure("[host.quiet]\nnotify = false\nnotfy = true\n")
            daemon.reload()
            #expect(await Waiting.until { daemon.log.contains("line 3: host.quiet.notfy") })
            #expect(try await rtun(daemon, quiet, "notify", "spoken again").status == 0)
            try await daemon.stop()
        }

        @Test("A folder of a host that could not be an inbox receives nothing, and the sender is told")
        func unusableFolder() async throws {
            let daemon = try await DaemonUnderTest.start(configuration: "[host.bad]\ndir = \"/\"\n")
            try TreeMaker.write("x", to: daemon.server + "/a.txt")
            let result = try await rtun(daemon, daemon.laptop + "/.rtun/s/bad.sock", "send", "a.txt")
            #expect(result.status == 7, "\(result)")
            #expect(result.stderr.contains("the laptop's folder for this host cannot be used"), "\(result)")
            #expect(!FileManager.default.fileExists(atPath: "/a.txt"))
            try await daemon.stop()
        }

        @Test("A fault in the file keeps a daemon from starting, with -d as well, and --check-config tells it")
        func faults() async throws {
            let home = ScratchFolder("config")
            let environment = DaemonUnderTest.environment(home: home.path)
            try TreeMaker.write("\n[limits]\nflor = 1\n", to: home.path + "/.config/rtun/config.toml")
            for arguments in [["server", "--check-config"], ["server"], ["server", "-d"]] {
                let result = try await BuiltBinary.run(arguments, environment: environment)
                #expect(result.status == 1, "\(result)")
                #expect(
                    result.stderr.contains(
                        "config.toml: line 3: limits.flor: there is no such setting; did you mean floor?"
                    ),
                    "\(result)"
                )
            }
            try TreeMaker.write("[limits]\nfloor = 1\n", to: home.path + "/.config/rtun/config.toml")
            let result = try await BuiltBinary.run(["server", "--check-config"], environment: environment)
            #expect(result.status == 0, "\(result)")
            #expect(result.stdout.hasSuffix("config.toml: no fault\n"), "\(result)")
        }
    }
}
