// SPDX-License-Identifier: MIT

import Codecs
import Testing
import Transfer

/// A machine, its data and a link, advanced in the controller's intervals.
private struct SimulatedSend {
    var workers = 2
    var benches = 3
    /// Bytes a second; infinite where only the cores count.
    var link = Double.infinity
    /// Nanoseconds of work for a raw byte besides compressing.
    var packing = 1.7
    /// How much slower than the ladder's table this machine is.
    var slowness = 1.0
    /// How much larger than in the table this data stays.
    var bulk = 1.5
    /// Nanoseconds that receiving and ciphers take from the same cores: for a raw byte, and for one on the wire.
    var shared: (raw: Double, wire: Double)?
    /// What the cores are idle although jobs wait for one now and then.
    var idleShare = 0.0
    /// How much longer than it works a job takes.
    var wait: Double?
    /// Share of the bytes that can be compressed.
    var compressible = 1.0
    var controller: CompressionController
    private var noise = SystemNoise()
    /// How far what arrives is off its mean from interval to interval.
    var restlessness = 0.05

    /// Relative disturbance of what is measured, from a fixed sequence.
    private struct SystemNoise {
        private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        mutating func factor(_ spread: Double = 0.05) -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return 1 - spread + 2 * spread * Double(state >> 33) / Double(1 << 31)
        }
    }

    init(_ ladder: CompressionLadder = .zstd, benches: Int = 3, memory: Int = 50 << 20) {
        self.benches = benches
        controller = CompressionController(ladder, workers: 2, benches: benches, memory: memory)
    }

    /// Raw bytes a second at a setting.
    func rate(_ compression: Compression) -> Double {
        guard let step = CompressionLadder.zstd.steps.first(where: { $0.compression == compression }) else { return 0 }
        let size = self.size(step)
        let active = Double(min(workers, max(1, min(benches, (50 << 20) / max(step.contextBytes, 1)))))
        let work = (packing + compressible * slowness * step.cost) * 1e-9
        guard let shared else { return min(active / work, link / size) }
        return min(Double(workers) / (work + (shared.raw + shared.wire * size) * 1e-9), link / size)
    }

    private func size(_ step: CompressionLadder.Step) -> Double {
        1 - compressible + compressible * min(1, step.size * bulk)
    }

    mutating func run(seconds: Double) {
        for _ in 0..<Int(seconds * 4) {
            let setting = controller.compression
            guard let step = CompressionLadder.zstd.steps.first(where: { $0.compression == setting }) else { return }
            let raw = rate(setting) / 4 * noise.factor()
            // Where cores are shared, a job takes longer by the clock than it works.
            let wait = self.wait ?? (shared == nil ? 1 : 1.5)
            controller.adapt(
                CompressionSample(
                    seconds: 0.25,
                    rawBytes: Int(raw),
                    triedBytes: Int(raw * compressible),
                    packedBytes: Int(raw * compressible * min(1, step.size * bulk)),
                    workSeconds: raw * (packing + compressible * slowness * step.cost) * 1e-9 * wait * noise.factor(),
                    compressSeconds: raw * compressible * slowness * step.cost * 1e-9 * wait * noise.factor(),
                    computeSeconds: raw * compressible * slowness * step.cost * 1e-9 * noise.factor(),
                    idleShare: idleShare,
                    receivedBytes: UInt64(raw * size(step) * noise.factor(restlessness))
                )
            )
        }
    }

    /// Mean raw rate over some seconds, while the controller goes on.
    mutating func meanRate(over seconds: Double) -> Double {
        var sum = 0.0
        let intervals = Int(seconds * 4)
        for _ in 0..<intervals {
            sum += rate(controller.compression)
            run(seconds: 0.25)
        }
        return sum / Double(intervals)
    }

    var bestRate: Double { CompressionLadder.zstd.steps.map { rate($0.compression) }.max() ?? 0 }
}

struct CompressionControllerTests {
    private func step(of controller: CompressionController) -> Int {
        CompressionLadder.zstd.steps.firstIndex { $0.compression == controller.compression } ?? -1
    }

    @Test(arguments: [1e6, 12.5e6, 40e6, 125e6, 400e6, 2e9])
    func `whatever the link, the rate comes close to the best of all settings`(link: Double) {
        var send = SimulatedSend()
        send.link = link
        send.run(seconds: 5)
        #expect(send.meanRate(over: 20) > 0.95 * send.bestRate)
    }

    @Test func `at 100 Mbit a second it packs as small as two cores can, within three seconds`() {
        var send = SimulatedSend()
        send.link = 12.5e6
        send.run(seconds: 3)
        #expect(send.controller.compression == .zstd(9))
    }

    @Test func `at 1 Mbit a second the highest step runs on one worker`() {
        var send = SimulatedSend()
        send.link = 0.125e6
        send.run(seconds: 10)
        #expect(send.controller.compression == .zstd(19))
        #expect(send.controller.allowedBenches == 1)
    }

    @Test func `a step whose context does not fit is not chosen`() {
        var send = SimulatedSend(memory: 12 << 20)
        send.link = 0.125e6
        send.run(seconds: 20)
        #expect(send.controller.compression == .zstd(6))
        #expect(send.controller.allowedBenches == 3)
    }

    @Test(arguments: [1.0, 2.0, 4.0])
    func `where both ends share the cores, hardly slower than without compression`(slowness: Double) {
        var send = SimulatedSend()
        send.slowness = slowness
        send.shared = (raw: 3, wire: 3)
        send.run(seconds: 10)
        let mean = send.meanRate(over: 30)
        #expect(mean > 0.95 * send.rate(.stored))
        #expect(mean > 0.93 * send.bestRate)
    }

    @Test func `on crowded cores no luck of a trial lets it compress harder`() {
        var send = SimulatedSend()
        send.shared = (raw: 8, wire: 8)
        send.restlessness = 0.4
        send.run(seconds: 4)
        for _ in 0..<240 {
            send.run(seconds: 0.25)
            #expect(step(of: send.controller) <= 2)
        }
    }

    @Test func `it follows a link that changes`() {
        var send = SimulatedSend()
        send.link = 1e6
        send.run(seconds: 8)
        #expect(step(of: send.controller) >= 9)
        send.link = 300e6
        send.run(seconds: 8)
        #expect(send.meanRate(over: 10) > 0.85 * send.bestRate)
        #expect(step(of: send.controller) <= 4)
        send.link = 12.5e6
        send.run(seconds: 8)
        #expect(step(of: send.controller) >= 8)
    }

    @Test func `cores that are idle now and then are not crowded, though jobs wait`() {
        var send = SimulatedSend()
        send.link = 12.5e6
        send.wait = 1.3
        send.idleShare = 0.3
        send.run(seconds: 4)
        #expect(send.controller.compression == .zstd(9))
        send.idleShare = 0
        send.run(seconds: 4)
        #expect(step(of: send.controller) < 9)
    }

    @Test func `on a slow line it goes up at once, and comes down one step at a time`() {
        var send = SimulatedSend()
        send.link = 12.5e6
        send.run(seconds: 0.5)
        #expect(step(of: send.controller) >= 8)
        send.run(seconds: 2)
        send.link = 1e9
        var last = step(of: send.controller)
        for _ in 0..<100 {
            send.run(seconds: 0.25)
            let now = step(of: send.controller)
            #expect(now >= last - 1)
            last = now
        }
    }

    @Test func `a rate that rises from nothing makes no line look slow`() {
        var send = SimulatedSend()
        send.link = 2e6
        send.run(seconds: 0.25)
        send.link = 400e6
        send.run(seconds: 1)
        #expect(send.meanRate(over: 5) > 0.7 * send.bestRate)
    }

    @Test func `bytes that cannot be compressed teach it nothing`() {
        var send = SimulatedSend()
        send.link = 12.5e6
        send.compressible = 0
        send.run(seconds: 20)
        #expect(send.controller.compression == CompressionLadder.zstd.steps[CompressionLadder.zstd.start].compression)
    }

    @Test func `half of the bytes incompressible, the other half is packed small all the same`() {
        var send = SimulatedSend()
        send.link = 12.5e6
        send.compressible = 0.5
        send.run(seconds: 10)
        #expect(step(of: send.controller) >= 9)
    }

    @Test(arguments: [Compression.stored, .zstd(19), .zstd(-5), .zstd(22), .zlib(9)])
    func `what was asked for stays`(compression: Compression) {
        let ladder = CompressionLadder.pinned(to: compression)
        var controller = CompressionController(ladder, workers: 2, benches: 3, memory: 50 << 20)
        for _ in 0..<50 {
            controller.adapt(
                CompressionSample(
                    seconds: 0.25,
                    rawBytes: 1_000_000,
                    triedBytes: 1_000_000,
                    packedBytes: 500_000,
                    workSeconds: 0.5,
                    compressSeconds: 0.4,
                    receivedBytes: 500_000
                )
            )
        }
        #expect(controller.compression == compression)
        #expect(controller.allowedBenches == (compression.codec == .zstd && compression.level > 9 ? 1 : 3))
    }

    @Test func `the ladders only get smaller and dearer`() {
        for ladder in [CompressionLadder.zstd, .zlib] {
            for (below, above) in zip(ladder.steps, ladder.steps.dropFirst()) {
                #expect(above.cost > below.cost)
                #expect(above.size < below.size)
                #expect(above.contextBytes >= below.contextBytes)
            }
        }
    }
}
