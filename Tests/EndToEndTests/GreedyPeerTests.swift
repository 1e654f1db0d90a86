// SPDX-License-Identifier: MIT

import TestSupport
import Testing

extension EndToEnd {
    /// Peers that take all they can get.
    @Suite("Greedy peers", .daemon)
    struct GreedyPeerTests {
        private static let busy: UInt8 = 2
        private let daemon: DaemonUnderTest

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func key(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

        /// Greets and waits for WELCOME; nil where the answer is BUSY.
        private func welcomed(_ socket: String, key: [UInt8]?) throws -> RawPeer? {
            let peer = try RawPeer(to: socket)
            peer.say(RawGreeting.lines(RawGreeting.hello(key: key)))
            let line = peer.line()
            if RawGreeting.refusal(line)?.code == Self.busy { return nil }
            #expect(RawGreeting.answer(line).first?.type == 0x02, "\(line)")
            return peer
        }

        @Test("200 silent connections leave a labelled host, its ping and the administration alone, and all get BUSY")
        func silence() async throws {
            let socket = try daemon.labelSocket("calm")
            var peers = try (0..<200).map { _ in try RawPeer(to: daemon.socket) }
            let last = try #require(peers.last)
            #expect(RawGreeting.refusal(last.line())?.code == Self.busy)
            let ping = try await BuiltBinary.run(
                ["ping", "-s", socket],
                environment: DaemonUnderTest.environment(home: daemon.server)
            )
            #expect(ping.status == 0, "\(ping)")
            #expect(try RawPeer.ask("STATUS", at: daemon.laptop + "/.rtun/ctl.sock").hasPrefix("{"))
            // Refused as clearly to a client as to a raw peer.
            let refused = try await daemon.rtun("ping", "-s", daemon.socket)
            #expect(refused.status == 4, "\(refused)")
            #expect(refused.stderr.contains("too many connections"), "\(refused)")
            peers = []
            let plain = daemon.socket
            #expect(await Waiting.until { (try? RawPeer.ask("PING", at: plain)) == "OK PONG\r\n" })
        }

        @Test("One source has 32 connections on the plain socket, and another one is let in beside it")
        func oneSource() async throws {
            let first = try (0..<32).map { _ in try #require(try welcomed(daemon.socket, key: key(1))) }
            #expect(try welcomed(daemon.socket, key: key(1)) == nil)
            #expect(try welcomed(daemon.socket, key: key(2)) != nil)
            withExtendedLifetime(first) {}
        }

        @Test("One label has 32 connections, whatever keys its peers state")
        func oneLabel() async throws {
            let socket = try daemon.labelSocket("greedy")
            let first = try (0..<32).map { try #require(try welcomed(socket, key: key(UInt8($0)))) }
            #expect(try welcomed(socket, key: key(99)) == nil)
            #expect(try welcomed(daemon.socket, key: key(99)) != nil)
            withExtendedLifetime(first) {}
        }

        @Test("A greeting that is not complete in 10 s ends, however it trickles")
        func slowGreeting() async throws {
            let (silent, trickling) = (try RawPeer(to: daemon.socket), try RawPeer(to: daemon.socket))
            let start = ContinuousClock.now
            var isHeard = false
            while !isHeard, ContinuousClock.now - start < .seconds(15) {
                trickling.say("X")
                isHeard = trickling.isHeard(within: 500)
            }
            let elapsed = ContinuousClock.now - start
            #expect(elapsed > .seconds(8) && elapsed < .seconds(12), "\(elapsed)")
            #expect(silent.isHeard(within: 2000))
            #expect(silent.line() == "")
        }

        @Test("Whatever is wrong with an ATTACH, the answer is the same to the byte")
        func attachOracle() async throws {
            let owner = try RawPeer(to: daemon.socket)
            owner.say(RawGreeting.lines(RawGreeting.hello(key: key(7)), RawGreeting.open(7)))
            let opened = RawGreeting.answer(owner.line())
            #expect(opened.map { $0.type } == [0x02, 0x21])
            var answers: Set<String> = []
            for (id, secret, epoch) in [(7, 7, 1), (7, 8, 1), (8, 7, 1), (9, 9, 0), (7, 9, UInt64.max)] {
                let peer = try RawPeer(to: daemon.socket)
                peer.say(
                    RawGreeting.lines(
                        RawGreeting.hello(key: key(8)),
                        RawGreeting.attach(UInt8(id), secret: UInt8(secret), epoch: UInt64(epoch))
                    )
                )
                let line = peer.line()
                #expect(RawGreeting.refusal(line)?.code == 8, "\(line)")
                answers.insert(line)
            }
            #expect(answers.count == 1)
        }
    }
}
