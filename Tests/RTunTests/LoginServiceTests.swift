// SPDX-License-Identifier: MIT

import Testing

@testable import rtun

/// The files for systemd and launchd hold every word as it was given.
struct LoginServiceTests {
    private let service = LoginService(
        command: ["/a b/rtun", "server", "--dir", "/x/$HOME \"%h\" \\ <&>"],
        environment: [("PATH", "/bin:/$x")]
    )

    @Test func `a systemd unit quotes what systemd would read`() {
        let unit = service.unit
        #expect(unit.contains(#"ExecStart="/a b/rtun" "server" "--dir" "/x/$$HOME \"%%h\" \\ <&>""#))
        #expect(unit.contains(#"Environment="PATH=/bin:/$x""#))
        #expect(unit.contains("[Install]\nWantedBy=default.target"))
    }

    @Test func `a launchd agent escapes what XML would read`() {
        #expect(service.agent.contains("<string>/x/$HOME \"%h\" \\ &lt;&amp;&gt;</string>"))
        #expect(service.agent.contains("<key>PATH</key>"))
    }
}
