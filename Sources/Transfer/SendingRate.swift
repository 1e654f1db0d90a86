// SPDX-License-Identifier: MIT

private import Descriptors

/// How fast all connections of a transfer may send together.
///
/// Time is handed out in the order of asking; what was not used is kept for a tenth of a second.
package actor SendingRate {
    /// Bytes that are written at once: the rate holds over short times as well.
    static let slice = 16 << 10
    private static let burst: Duration = .milliseconds(100)

    private let bytesPerSecond: Double
    /// When the next byte may go.
    private var free: Duration

    /// At least 1 KiB a second: slower, a slice takes longer than a peer waits.
    package init(bytesPerSecond: UInt64) {
        self.bytesPerSecond = Double(max(bytesPerSecond, 1 << 10))
        free = ProcessContext.monotonicNow
    }

    /// Waits until so many bytes may go.
    func wait(for bytes: Int) async throws {
        let now = ProcessContext.monotonicNow
        let start = max(free, now - Self.burst)
        free = start + .seconds(Double(bytes) / bytesPerSecond)
        if start > now { try await Task.sleep(for: start - now, clock: .suspending) }
    }
}

/// Lets one task at a time through, in the order of coming.
actor Turn {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async {
        guard isTaken else {
            isTaken = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func give() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
}
