// SPDX-License-Identifier: MIT

#if os(Linux)
import RTunDaemon
import Testing

struct DesktopSessionTests {
    private static let manager = """
        PATH=/evil
        DISPLAY=:7
        XAUTHORITY=/run/user/1000/xauth
        LD_PRELOAD=/evil.so
        XDG_CURRENT_DESKTOP=$'strange'
        """

    private func changes(_ variables: [String: String], sockets: Set<String>) async -> [String: String] {
        await DesktopSession(
            variable: { variables[$0] },
            socketExists: { sockets.contains($0) },
            manager: { _ in Self.manager }
        ).changes()
    }

    @Test("a living session's own variables are left alone")
    func living() async {
        let variables = [
            "DISPLAY": ":0", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
            "XDG_RUNTIME_DIR": "/run/user/1000",
        ]
        #expect(await changes(variables, sockets: ["/tmp/.X11-unix/X0", "/run/user/1000/bus"]) == [:])
        let wayland = [
            "WAYLAND_DISPLAY": "wayland-0", "DBUS_SESSION_BUS_ADDRESS": "unix:abstract=/tmp/dbus-x",
            "XDG_RUNTIME_DIR": "/run/user/1000",
        ]
        #expect(await changes(wayland, sockets: ["/run/user/1000/wayland-0"]) == [:])
    }

    @Test("bus and display of the user's present session are taken, and nothing else")
    func found() async {
        let runtime = "/run/user/1000"
        for variables in [
            ["XDG_RUNTIME_DIR": runtime],
            ["XDG_RUNTIME_DIR": runtime, "DISPLAY": ":3", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/tmp/gone,guid=1"],
        ] {
            #expect(
                await changes(variables, sockets: ["/run/user/1000/bus"]) == [
                    "XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
                    "DISPLAY": ":7", "XAUTHORITY": "/run/user/1000/xauth",
                ]
            )
        }
    }

    @Test("without a session nothing is made up")
    func none() async {
        #expect(await changes([:], sockets: []) == [:])
    }
}
#endif
