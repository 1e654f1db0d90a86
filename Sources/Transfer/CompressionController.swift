// SPDX-License-Identifier: MIT

package import Codecs

/// What a transfer did within one interval, as `CompressionController` is told.
package struct CompressionSample: Sendable, Equatable {
    /// Length of the interval.
    package var seconds: Double
    /// Raw bytes of the frames that were made in it.
    package var rawBytes: Int
    /// Those of `rawBytes` that were compressed, or would have been; the others were seen not to shrink.
    package var triedBytes: Int
    /// What became of `triedBytes`.
    package var packedBytes: Int
    /// Seconds that workers spent on them in all; workers run side by side, so this can be more than `seconds`.
    package var workSeconds: Double
    /// The part of `workSeconds` in which bytes were compressed.
    package var compressSeconds: Double
    /// The part of `compressSeconds` in which the worker had a core.
    package var computeSeconds: Double
    /// Share of the time in which the cores had nothing to do, 0 … 1; nil where the system does not tell.
    package var idleShare: Double?
    /// Bytes that the receiver has read in the interval, on all connections.
    package var receivedBytes: UInt64

    package init(
        seconds: Double,
        rawBytes: Int = 0,
        triedBytes: Int = 0,
        packedBytes: Int = 0,
        workSeconds: Double = 0,
        compressSeconds: Double = 0,
        computeSeconds: Double? = nil,
        idleShare: Double? = nil,
        receivedBytes: UInt64 = 0
    ) {
        self.seconds = seconds
        self.rawBytes = rawBytes
        self.triedBytes = triedBytes
        self.packedBytes = packedBytes
        self.workSeconds = workSeconds
        self.compressSeconds = compressSeconds
        self.computeSeconds = computeSeconds ?? compressSeconds
        self.idleShare = idleShare
        self.receivedBytes = receivedBytes
    }
}

/// Decides how hard to compress, from what was measured: a value without I/O and clock.
///
/// It is asked four times a second. The aim is the highest step whose **margin** is at least 1.1, where
///
///     margin = feed rate of all workers at that step ÷ (wire rate at the receiver × raw bytes per wire byte)
///
/// Below 1 the workers cannot fill the wire: they are the bottleneck, and compress too hard. What a step costs that is
/// not in use is foretold from the ladder's table, scaled by what the step in use was measured to cost.
///
/// Where both ends or the tunnel's cipher share the cores with the workers, a margin says little: cores that compress
/// are taken from those who receive. That is seen by the workers themselves, which wait for a core, and by the cores,
/// which are never idle. While they are **crowded** so, steps that the line does not surely need are taken back, down to
/// the one that transfers begin with.
///
/// Steps up that the line surely needs are taken at once, several together. Any other step whose effect is not certain
/// is a **trial**: it stays only if no fewer raw bytes arrive with it, and after a failed trial the next one comes later,
/// each time twice as late. Of two steps that do equally well the cheaper one stays.
package struct CompressionController: Sendable {
    /// Asked so often.
    package static let interval = Duration.milliseconds(250)
    /// Cores are crowded where a worker takes so many times as long as it computes.
    private static let crowdedFrom = 1.15
    /// Cores that are idle for so much of the time are not crowded, however long a worker waits for one now and then.
    private static let idleFrom = 0.1
    /// Margins that say even then that the line decides: below the first a step is taken back, from the second on taken.
    private static let crowdedMargins = 3.0...4.0
    /// Bytes from which on contexts are spared.
    private static let largeContext = 4 << 20
    /// A margin from which on a step up needs no trial.
    private static let sureMargin = 2.0

    private let ladder: CompressionLadder
    private let workers: Int
    private let benches: Int
    private let memory: Int

    private var index: Int
    private var tick = 0
    /// Seconds of work for one raw byte besides compressing.
    private var packing = Ratio()
    /// What this machine and data cost, compared with the table.
    private var costScale = Ratio()
    /// What is left of this data, compared with the table.
    private var sizeScale = Ratio()
    /// Share of the raw bytes that can be compressed at all.
    private var triedShare = Ratio()
    /// Bytes that the receiver reads in a second.
    private var wireRate: Double?
    /// The same of the last interval alone.
    private var latestRate = 0.0
    /// It is half as much again as in the interval before, at the beginning or behind a pause: not yet the line's.
    private var isRising = false
    /// Seconds by the clock for a second that a worker had a core.
    private var crowding: Double?
    /// Share of the time in which the cores had nothing to do.
    private var idleShare: Double?
    private var trial: Trial?
    private var upwards = Patience()
    private var downwards = Patience()

    /// A step that has to prove itself.
    private struct Trial {
        let from: Int
        let rawRateBefore: Double
        var ticksLeft: Int
    }

    /// A ratio over the last two seconds or so: files differ more from one interval to the next than steps do.
    private struct Ratio {
        private var sums = (0.0, 0.0)

        /// Nil before anything was measured.
        var value: Double? { sums.1 > 0 ? sums.0 / sums.1 : nil }

        mutating func add(_ amount: Double, of whole: Double) {
            sums = (sums.0 * 7 / 8 + amount, sums.1 * 7 / 8 + whole)
        }
    }

    /// When a direction is tried again: twice as late after each failure, at once when the rate of raw bytes has changed.
    private struct Patience {
        private var until = 0
        private var ticks = 8
        private var rate = 0.0

        func allows(_ tick: Int, _ rate: Double) -> Bool {
            tick >= until || rate > 2 * self.rate || 2 * rate < self.rate
        }

        mutating func fail(at tick: Int, _ rate: Double) {
            until = tick + ticks
            ticks = min(2 * ticks, 256)
            self.rate = rate
        }

        mutating func succeed() { ticks = 8 }
    }

    /// `benches` frames are in work at once, by `workers` threads; the contexts of all together get `memory` bytes.
    package init(_ ladder: CompressionLadder, workers: Int, benches: Int, memory: Int) {
        self.ladder = ladder
        self.workers = workers
        self.benches = benches
        self.memory = memory
        index = ladder.start
    }

    /// The setting for frames from now on.
    package var compression: Compression { ladder.steps[index].compression }

    /// Benches that may be in work with that setting, so that its contexts fit; at least one.
    package var allowedBenches: Int { max(1, benchesThatFit(index)) }

    // MARK: - Deciding

    /// Takes what happened since the last time, and changes `compression`: down by one step at most.
    package mutating func adapt(_ sample: CompressionSample) {
        guard ladder.steps.count > 1, sample.seconds > 0 else { return }
        tick += 1
        measure(sample)
        // While nothing can be compressed, nothing is learnt of a step, and none is better than another.
        guard let rate = wireRate, sample.triedBytes > 0 else { return }
        if let running = trial {
            trial?.ticksLeft -= 1
            if running.ticksLeft > 1 { return }
            trial = nil
            judge(running, rate)
            return
        }
        let here = margin(of: index, rate)
        if isCrowded, here < Self.crowdedMargins.lowerBound, index > ladder.start {
            move(to: index - 1)
        } else if here < 0.9, index > 0, benchesThatFit(index) < min(workers, benches) {
            // Half of the workers rest for a step that one of them cannot feed.
            move(to: index - 1)
        } else if here < 1.05, index > 0, downwards.allows(tick, rate / size(of: index)) {
            if feed(of: index - 1) > 1.3 * feed(of: index) { move(to: index - 1) } else { begin(to: index - 1, rate) }
        } else if upwards.allows(tick, rate / size(of: index)), isWorthATrial(index + 1, rate) {
            let sure = sureStep(rate)
            if sure > index { move(to: sure) } else { begin(to: index + 1, rate) }
        } else if here < 2, index > 0, !isIdle, downwards.allows(tick, rate / size(of: index)) {
            begin(to: index - 1, rate)
        }
    }

    /// True for a step that the workers can feed, or that promises more raw bytes a second though they limit it.
    private func isWorthATrial(_ step: Int, _ rate: Double) -> Bool {
        guard step < ladder.steps.count, benchesThatFit(step) > 0 else { return false }
        if isCrowded, step > ladder.start { return isSure(step, rate) }
        // One that lets workers rest is large, too.
        if benchesThatFit(step) < min(workers, benches) { return margin(of: step, rate) >= 1.25 }
        return margin(of: step, rate) >= 1.15
            || min(feed(of: step), rate / size(of: step)) >= 1.1 * rate / size(of: index)
    }

    /// The highest step that the line surely needs, like all below it; else the one in use.
    ///
    /// It goes on from the next one only where the rate is settled, and to none whose contexts leave workers idle: what
    /// that costs is foretold too roughly.
    private func sureStep(_ rate: Double) -> Int {
        var step = index
        while step + 1 < ladder.steps.count, isSure(step + 1, rate),
            step == index || (!isRising && benchesThatFit(step + 1) >= min(workers, benches))
        {
            step += 1
        }
        return step
    }

    private func isSure(_ step: Int, _ rate: Double) -> Bool {
        let isHeldBack = isCrowded && step > ladder.start
        return margin(of: step, rate) >= (isHeldBack ? Self.crowdedMargins.upperBound : Self.sureMargin)
    }

    /// Workers wait for cores that are never idle: what they compress in vain, somebody else lacks.
    private var isCrowded: Bool { (crowding ?? 1) > Self.crowdedFrom && !isIdle }

    private var isIdle: Bool { (idleShare ?? 0) >= Self.idleFrom }

    private mutating func begin(to step: Int, _ rate: Double) {
        // Frames made before are still on their way: the first intervals of a trial do not count.
        trial = Trial(from: index, rawRateBefore: rate / size(of: index), ticksLeft: 4)
        move(to: step)
    }

    /// Takes a step.
    ///
    /// Raw bytes are taken to arrive as before until that is measured: what is remembered favours neither step.
    private mutating func move(to step: Int) {
        wireRate = wireRate.map { $0 * size(of: step) / size(of: index) }
        index = step
    }

    /// Ends a trial; the table's ratio of sizes is used, so that data that happens to change does not decide.
    private mutating func judge(_ trial: Trial, _ rate: Double) {
        let rawRate = rate / size(of: index)
        let gain = rawRate / trial.rawRateBefore
        if index > trial.from {
            if gain < 1.015 {
                move(to: trial.from)
                upwards.fail(at: tick, rawRate)
            } else {
                upwards.succeed()
                downwards.fail(at: tick, rawRate)
            }
        } else if gain < 0.99 {
            move(to: trial.from)
            downwards.fail(at: tick, rawRate)
        } else {
            downwards.succeed()
            upwards.fail(at: tick, rawRate)
        }
    }

    // MARK: - Measuring and foretelling

    private mutating func measure(_ sample: CompressionSample) {
        let step = ladder.steps[index]
        let before = latestRate
        latestRate = Double(sample.receivedBytes) / sample.seconds
        isRising = latestRate > 1.5 * before
        if latestRate > 0 || wireRate != nil { Self.smooth(&wireRate, towards: latestRate) }
        if let share = sample.idleShare { Self.smooth(&idleShare, towards: share) }
        guard sample.rawBytes > 0 else { return }
        let raw = Double(sample.rawBytes)
        let tried = Double(sample.triedBytes)
        packing.add(max(0, sample.workSeconds - sample.compressSeconds), of: raw)
        triedShare.add(tried, of: raw)
        guard step.cost > 0, tried > 0 else { return }
        costScale.add(sample.compressSeconds, of: tried * step.cost)
        sizeScale.add(Double(sample.packedBytes), of: tried * step.size)
        if sample.computeSeconds > 0 {
            Self.smooth(&crowding, towards: sample.compressSeconds / sample.computeSeconds)
        }
    }

    private static func smooth(_ value: inout Double?, towards new: Double) {
        value = value.map { ($0 + new) / 2 } ?? new
    }

    /// Bytes on the wire for each raw byte.
    private func size(of step: Int) -> Double {
        let tried = triedShare.value ?? 1
        return 1 - tried + tried * min(1, max(ladder.steps[step].size * (sizeScale.value ?? 1), 1e-6))
    }

    private func benchesThatFit(_ step: Int) -> Int {
        let context = ladder.steps[step].contextBytes
        if context == 0 { return benches }
        // A bench that waits for its turn needs none: of large ones each worker has one.
        return min(context > Self.largeContext ? min(workers, benches) : benches, memory / context)
    }

    /// Raw bytes that all workers can make frames of in a second; infinite before anything was measured.
    private func feed(of step: Int) -> Double {
        let compressing = (triedShare.value ?? 1) * (costScale.value ?? 1e-9) * ladder.steps[step].cost
        let seconds = (packing.value ?? 0) + compressing
        return seconds > 0 ? Double(min(workers, max(1, benchesThatFit(step)))) / seconds : .infinity
    }

    /// Feed rate over what the wire takes.
    private func margin(of step: Int, _ rate: Double) -> Double {
        rate > 0 ? feed(of: step) * size(of: step) / rate : .infinity
    }
}
