// SPDX-License-Identifier: MIT

import RTunDaemon
import Testing

@Suite("Settings")
struct SettingsTests {
    private func read(_ text: String) throws(SettingsFault) -> Settings { try Settings(toml: text, home: "/home/me") }

    @Test("Without a word all defaults hold")
    func empty() throws {
        let settings = try read("# nothing\n")
        #expect(settings == Settings())
        #expect(settings.name == "laptop")
        #expect(settings.host(.plain).viewTypes == ViewType.allowedByDefault)
        #expect(settings.host(.plain).notify && settings.host(.plain).arrivals)
    }

    @Test("Every setting is read, and a host's section is its alone")
    func everything() throws {
        let settings = try read(
            """
            name = "Ann's laptop"
            inbox = "~/in"
            [limits]
            transfer = "1.5 GiB"
            inbox = 1000
            floor = "0"
            [host.default]
            notify = false
            [host."gpu.01"]
            dir = "/data/gpu"
            quota = "20GB"
            view = ["default", "HTML"]
            arrivals = false
            """
        )
        #expect(settings.name == "Ann's laptop")
        #expect(settings.inbox == "/home/me/in")
        #expect(settings.limits.transfer == 3 << 29)
        #expect(settings.limits.inbox == 1000)
        #expect(settings.limits.floor == 0)
        #expect(!settings.host(.plain).notify)
        let label = try #require(HostLabel("gpu.01"))
        let host = settings.host(.host(label))
        #expect(host.directory == "/data/gpu")
        #expect(host.quota == 20_000_000_000)
        #expect(host.viewTypes == ViewType.allowedByDefault.union([.html]))
        #expect(host.notify && !host.arrivals)
        #expect(settings.labels == [label])
        #expect(settings.host(.host(try #require(HostLabel("other")))) == Settings.Host())
    }

    @Test(
        "A fault names its line and key, and what may have been meant",
        arguments: [
            ("nmae = \"x\"", "line 1: nmae: there is no such setting; did you mean name?"),
            ("\n\n[limits]\nflor = 1", "line 4: limits.flor: there is no such setting; did you mean floor?"),
            ("[host.a]\nzzzzzz = 1", "line 2: host.a.zzzzzz: there is no such setting"),
            ("[host.a]\nnotify = 1", "line 2: host.a.notify: this is true or false"),
            ("[host.a]\nquota = \"lots\"", "line 2: host.a.quota: this is an amount of bytes"),
            ("[host.a]\nquota = -1", "line 2: host.a.quota: this is an amount of bytes"),
            ("[host.a]\nquota = \"99999999999 TiB\"", "line 2: host.a.quota: this is an amount of bytes"),
            ("host.a.view = [\"sh\"]", "line 1: host.a.view: files of type sh can run, and are never opened"),
            ("host.a.view = [\"exe\"]", "line 1: host.a.view: files of type exe can run"),
            (
                "[host.a]\nview = [\"pngg\"]",
                "line 2: host.a.view: no file of type pngg can be opened; did you mean png?"
            ),
            ("[host.a]\nview = \"png\"", "line 2: host.a.view: this is a list"),
            ("[host.Big]\nnotify = true", "line 1: host.Big: a label is"),
            ("[host.\"../x\"]\n", "line 1: host.../x: a label is"),
            ("inbox = \"in\"", "line 1: inbox: this is an absolute path"),
            ("name = \"\"", "line 1: name: this is text of 1 to 64 bytes"),
            ("limits = 1", "line 1: limits: this is a section, [limits]"),
            ("name = \"a\"\nname = \"b\"", "line 2: "),
            ("x = [", "line 1: "),
        ]
    )
    func faults(_ text: String, _ message: String) {
        let fault = #expect(throws: SettingsFault.self) { try read(text) }
        #expect(fault?.description.hasPrefix("config.toml: " + message) == true, "\(fault?.description ?? "none")")
    }
}
