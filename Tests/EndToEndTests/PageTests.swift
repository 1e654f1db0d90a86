// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A web page is shown with the files beside it that it names, where the laptop allows pages.
    @Suite("Viewing a page")
    struct PageTests {
        private let source = ScratchFolder("page")

        private func start(_ types: String) async throws -> DaemonUnderTest {
            try await DaemonUnderTest.start(configuration: "[host.default]\nview = [\(types)]\n")
        }

        private func view(_ daemon: DaemonUnderTest, _ path: String) async throws -> RunResult {
            try await BuiltBinary.run(["view", path], environment: daemon.serverEnvironment, folder: source.path)
        }

        private func write(_ text: String, _ name: String, mode: UInt16 = 0o644) throws {
            try TreeMaker.write(text, to: "\(source.path)/site/\(name)", mode: mode)
        }

        private static func page(_ word: String) -> String {
            """
            <!DOCTYPE html><title>\(word)</title>
            <link rel="stylesheet" href="my report_files/s.css"><script src="my%20report_files/lib/x.js"></script>
            <img src=plot.png><img src="linked.png"><img src="linked/a.png"><img src="gone.png">
            <a href="../../.ssh/id_rsa">1</a><a href="../up.txt">2</a><a href=".hidden/a.txt">3</a>
            <a href="/etc/passwd">4</a><script src="run.sh"></script><script src="may-run.js"></script>
            """
        }

        private func writeSite() throws {
            try write(Self.page("first"), "my report.html")
            try write("p { background: url(bg.svg) } /* url(../../up.txt) */", "my report_files/s.css")
            try write("<svg xmlns='http://www.w3.org/2000/svg'/>", "my report_files/bg.svg")
            try write("var x", "my report_files/lib/x.js")
            try write("p", "plot.png")
            for name in [".hidden/a.txt", "unnamed.png", "my report_files/unnamed.css"] { try write("no", name) }
            try write("#!/bin/sh\n", "run.sh")
            try write("x", "may-run.js", mode: 0o755)
            try TreeMaker.write("secret", to: source.path + "/up.txt")
            try TreeMaker.write("secret", to: source.path + "/.ssh/id_rsa")
            try TreeMaker.write("secret", to: source.path + "/outside/a.png")
            let files = FileManager.default
            try files.createSymbolicLink(
                atPath: source.path + "/site/linked.png",
                withDestinationPath: "../outside/a.png"
            )
            try files.createSymbolicLink(atPath: source.path + "/site/linked", withDestinationPath: "../outside")
        }

        private static let sent = [
            "my report.html", "my report_files", "my report_files/bg.svg", "my report_files/lib",
            "my report_files/lib/x.js", "my report_files/s.css", "plot.png",
        ]

        private func listing(_ folder: String) throws -> [String] {
            try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
        }

        @Test("It is opened in a folder with what it names, and nothing else travels; again it takes the same place")
        func opened() async throws {
            let daemon = try await start("\"default\", \"html\"")
            try writeSite()
            let result = try await view(daemon, "site/my report.html")
            #expect(result.status == 0, "\(result)")
            let desktop = daemon.desktop
            #expect(await Waiting.until { !desktop.opened().isEmpty })
            let path = try #require(desktop.opened().first?.arguments.last)
            #expect(path.hasPrefix(daemon.inbox + "/.rtun-view/") && path.hasSuffix("/my report.html"), "\(path)")
            let folder = (path as NSString).deletingLastPathComponent
            #expect(try listing(folder) == Self.sent)
            #expect(desktop.opened().first?.contents == Array(Self.page("first").utf8))

            try write(Self.page("second"), "my report.html")
            try write("p {}", "my report_files/s.css")
            let again = try await view(daemon, "site/my report.html")
            #expect(again.status == 0, "\(again)")
            #expect(await Waiting.until { desktop.opened().count == 2 })
            #expect(desktop.opened().last?.arguments.last == path)
            #expect(desktop.opened().last?.contents == Array(Self.page("second").utf8))
            #expect(try String(contentsOfFile: folder + "/my report_files/s.css", encoding: .utf8) == "p {}")
            #expect(try listing(folder) == Self.sent)
            let everything = try listing(daemon.inbox).filter { !$0.hasPrefix(".rtun-part") }
            #expect(!everything.contains { $0.contains("id_rsa") || $0.contains("up.txt") || $0.contains("unnamed") })
        }

        @Test(
            "Where pages are not allowed, and by default, it is saved with what it names, and how to allow it is said"
        )
        func saved() async throws {
            let daemon = try await start("\"default\"")
            try writeSite()
            let result = try await view(daemon, "site/my report.html")
            #expect(result.status == 6, "\(result)")
            #expect(result.stderr.contains("host.default.view"), "\(result)")
            #expect(try listing(daemon.inbox + "/my report") == Self.sent)
            #expect(daemon.desktop.opened().isEmpty)
        }
    }
}
