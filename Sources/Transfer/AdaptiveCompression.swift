// SPDX-License-Identifier: MIT

package import Codecs
private import Synchronization

/// The compression of one transfer: workers ask it and tell it what they did, the sender's clock lets it decide.
///
/// Safe to use from any thread.
package final class AdaptiveCompression: Sendable {
    /// What one job did.
    package struct Work: Sendable {
        package var rawBytes = 0
        package var triedBytes = 0
        package var packedBytes = 0
        package var seconds = Duration.zero
        package var compressing = Duration.zero
        /// The part of `compressing` in which the worker had a core.
        package var computing = Duration.zero

        package init() {}
    }

    private struct State {
        var controller: CompressionController
        var done = Work()
        var received: UInt64 = 0
        var lastDecision: Duration?
        var idle: Duration?
    }

    private let state: Mutex<State>
    /// The codec of whatever is not stored.
    package let codec: Codec

    /// `memory` is what the contexts of all benches may have together, in bytes.
    package init(_ ladder: CompressionLadder, workers: Int, benches: Int, memory: Int) {
        state = Mutex(
            State(controller: CompressionController(ladder, workers: workers, benches: benches, memory: memory))
        )
        codec = ladder.steps.last?.compression.codec ?? .stored
    }

    /// The setting for the next frame.
    package var current: Compression { state.withLock { $0.controller.compression } }

    /// The setting for batches of records, which are few bytes and always worth packing.
    package var forRecords: Compression {
        switch codec {
        case .stored: .stored
        case .zlib: .zlib()
        case .zstd: .zstd()
        }
    }

    /// Benches that may be in work at once.
    package var allowedBenches: Int { state.withLock { $0.controller.allowedBenches } }

    /// Notes what a job did.
    package func note(_ work: Work) {
        state.withLock { state in
            state.done.rawBytes += work.rawBytes
            state.done.triedBytes += work.triedBytes
            state.done.packedBytes += work.packedBytes
            state.done.seconds += work.seconds
            state.done.compressing += work.compressing
            state.done.computing += work.computing
        }
    }

    /// Decides anew; `received` is what RECEIVED said last, `now` a monotonic time.
    ///
    /// `idle` is for how long `cores` cores together had nothing to do, from any beginning; nil where nobody knows.
    package func decide(received: UInt64, now: Duration, idle: Duration?, cores: Int) {
        state.withLock { state in
            defer {
                state.done = Work()
                state.received = received
                state.lastDecision = now
                state.idle = idle
            }
            guard let last = state.lastDecision, now > last else { return }
            let seconds = (now - last) / .seconds(1)
            let idleSeconds = idle.flatMap { now in state.idle.map { (now - $0) / .seconds(1) } }
            state.controller.adapt(
                CompressionSample(
                    seconds: seconds,
                    rawBytes: state.done.rawBytes,
                    triedBytes: state.done.triedBytes,
                    packedBytes: state.done.packedBytes,
                    workSeconds: state.done.seconds / .seconds(1),
                    compressSeconds: state.done.compressing / .seconds(1),
                    computeSeconds: state.done.computing / .seconds(1),
                    idleShare: idleSeconds.map { min(1, max(0, $0 / (seconds * Double(cores)))) },
                    receivedBytes: received >= state.received ? received - state.received : 0
                )
            )
        }
    }
}
