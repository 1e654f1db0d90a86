// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The whole chain: `rtun` on the server's side of a real `ssh -R`, which has to find the socket by itself.
    @Suite("Through ssh -R", .enabled(if: LoopbackSSH.isAvailable, "this machine has no sshd"), .tunnel)
    struct RealSSHTests {
        private let daemon: DaemonUnderTest
        private let tunnel: LoopbackSSH

        init() throws {
            daemon = try #require(EndToEnd.daemon)
            tunnel = try #require(EndToEnd.tunnel)
        }

        @Test("ping finds the daemon")
        func ping() async throws {
            let result = try await tunnel.rtun("ping")
            #expect(result.status == 0, "\(result)")
            #expect(result.stdout == "OK PONG\n")
        }

        @Test("A tree arrives as it was")
        func tree() async throws {
            var maker = TreeMaker(seed: 11)
            try maker.makeTree(at: daemon.server + "/results", files: 800)
            let result = try await tunnel.rtun("send", "-r", "results/")
            #expect(result.status == 0, "\(result)")
            let differences = try await TreeComparison.differences(
                daemon.server + "/results",
                daemon.inbox + "/results"
            )
            #expect(differences == [])
        }

        @Test("Standard input arrives whole")
        func standardInput() async throws {
            var generator = SeededGenerator(seed: 12)
            let bytes = generator.bytes(9 << 20 + 17)
            let result = try await tunnel.rtun("send", "-", "--name", "piped.bin", input: .bytes(bytes))
            #expect(result.status == 0, "\(result)")
            let arrived = FileManager.default.contents(atPath: daemon.inbox + "/piped.bin")
            #expect(arrived.map { [UInt8]($0) } == bytes)
        }

        @Test("A picture is opened on the laptop")
        func view() async throws {
            let bytes = ViewNotifyTests.picture("through ssh")
            try TreeMaker.write(bytes, to: daemon.server + "/plot.png")
            let result = try await tunnel.rtun("view", "plot.png")
            #expect(result.status == 0, "\(result)")
            let desktop = daemon.desktop
            #expect(await Waiting.until { desktop.opened().contains { $0.contents == bytes } })
        }

        @Test("A notification is shown on the laptop")
        func notify() async throws {
            let result = try await tunnel.rtun("notify", "it's", "done")
            #expect(result.status == 0, "\(result)")
            let desktop = daemon.desktop
            #expect(
                await Waiting.until {
                    desktop.notifications().contains { $0.arguments.contains { $0.contains("it's done") } }
                }
            )
        }

        @Test("Among sockets that are dead or silent, the one that answers is found within seconds")
        func findsTheLivingSocket() async throws {
            let state = daemon.server + "/.rtun"
            var silent: [SilentListener] = []
            for number in 0..<3 {
                try SilentListener.leaveDeadSocket(at: "\(state)/rtun.sock.dead\(number)")
                silent.append(try SilentListener(at: "\(state)/rtun.sock.silent\(number)"))
            }
            let result = try await tunnel.rtun("ping")
            #expect(result.status == 0, "\(result)")
            #expect(result.duration < .seconds(4))
            let left = try FileManager.default.contentsOfDirectory(atPath: state)
            #expect(left.filter { $0.hasPrefix("rtun.sock.silent") }.count == silent.count)
            #expect(!left.contains { $0.hasPrefix("rtun.sock.dead") })
        }
    }
}
