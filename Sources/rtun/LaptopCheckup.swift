// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import FoundationEssentials
import RTunDaemon
import Transfer

/// The links of the chain that lie on the laptop.
struct LaptopCheckup {
    /// Bytes below which a disk counts as almost full.
    private static let littleSpace: UInt64 = 1 << 30

    let folder: StateFolder

    func run(_ findings: inout Findings) async throws {
        try await checkDaemon(&findings)
        checkInbox(&findings)
        await checkSSH(&findings)
        checkDesktop(&findings)
    }

    private func checkDaemon(_ findings: inout Findings) async throws {
        // The longest name that the daemon makes: a socket for a label of 32 bytes.
        let longest = folder.path + "/s/" + String(repeating: "x", count: 32) + ".sock"
        if (try? UnixAddress(path: longest)) == nil {
            findings.doubtful(
                "socket paths",
                "long labels do not fit below \(folder.path); a shorter RTUN_DIR would help"
            )
        }
        let daemon = LaptopDaemon(folder: folder)
        guard let status = try await daemon.ask("STATUS") else {
            findings.bad("daemon", "it does not run", advice: "run: rtun server -d")
            return
        }
        switch await daemon.version(at: try UnixAddress(path: folder.path + "/rtun.sock")) {
        case RTun.software?: findings.good("daemon", RTun.software)
        case let version?:
            findings.doubtful("daemon", "it is \(version), this is \(RTun.software): rtun server -d replaces it")
        case nil: findings.doubtful("daemon", "it runs, and does not answer on \(folder.path)/rtun.sock")
        }
        checkWalls(status, &findings)
    }

    /// What STATUS says of the kernel's wall around the daemon, and of the process that opens and shows.
    private func checkWalls(_ status: String, _ findings: inout Findings) {
        guard case .object(let fields)? = try? JSONDecoder().decode(JSONValue.self, from: Data(status.utf8)) else {
            return
        }
        if case .text(let wall)? = fields["wall"] {
            if wall.hasPrefix("none") {
                findings.doubtful("wall", "\(safe(wall)); the daemon's own checks hold without it")
            } else {
                findings.good("wall", safe(wall))
            }
        }
        if case .flag(false)? = fields["desktop"] {
            findings.bad(
                "desktop",
                "the process that opens and shows has died",
                advice: "start the daemon again: rtun server --stop, then rtun server -d"
            )
        }
    }

    /// Proved by writing, where the daemon writes by default.
    private func checkInbox(_ findings: inout Findings) {
        do {
            let inbox = try Inbox(path: try Inbox.defaultPath())
            let name = ".rtun-doctor-\(ProcessContext.processID)"
            try inbox.directory.makeSmallFile(name, [0x6F, 0x6B])
            let isSame = try inbox.directory.readSmallFile(name, atMost: 2) == [0x6F, 0x6B]
            try inbox.directory.removeFile(name)
            guard isSame else {
                findings.bad("inbox", "what is written does not come back", advice: "check the disk of \(inbox.path)")
                return
            }
            findings.good("inbox", "\(inbox.path) can be written")
            let space = try inbox.directory.space()
            let free = ByteFormat.size(space.available) + " free"
            if space.available < Self.littleSpace {
                findings.doubtful("disk", free)
            } else {
                findings.good("disk", free)
            }
        } catch {
            findings.bad(
                "inbox",
                Client.describe(error),
                advice: "make a folder that can be written: rtun server --dir"
            )
        }
    }

    private func checkSSH(_ findings: inout Findings) async {
        do {
            let outcome = try await Program(named: "ssh").capture(["-V"], within: 10)
            findings.good("ssh", outcome.lastLine)
        } catch {
            findings.bad("ssh", Client.describe(error), advice: "install OpenSSH's client, 6.7 or later")
        }
    }

    private func checkDesktop(_ findings: inout Findings) {
        #if os(macOS)
        let programs = ["open", "osascript"]
        #else
        let programs = ["xdg-open", "notify-send"]
        if ["DISPLAY", "WAYLAND_DISPLAY"].allSatisfy({ ProcessContext.environment($0) == nil }) {
            findings.doubtful("desktop", "no session here (DISPLAY, WAYLAND_DISPLAY): view and notify need one")
        }
        #endif
        for program in programs {
            do {
                findings.good("desktop", try Program(named: program).path)
            } catch {
                findings.doubtful("desktop", "\(Client.describe(error)), which view and notify use")
            }
        }
    }
}
