// SPDX-License-Identifier: MIT

internal import Foundation

/// Waiting for what announces itself to nobody: the end of a process, a file that a program makes.
package enum Waiting {
    /// Waits until a condition holds, which is asked every few milliseconds.
    ///
    /// - Parameters:
    ///   - timeout: how long to ask.
    ///   - condition: what has to hold.
    /// - Returns: whether it came to hold in time.
    package static func until(
        within timeout: Duration = .seconds(10),
        _ condition: @escaping @Sendable () -> Bool
    ) async -> Bool {
        let deadline = ContinuousClock.now + timeout
        return await onThread {
            while !condition() {
                if ContinuousClock.now > deadline { return false }
                pause()
            }
            return true
        }
    }

    /// Runs blocking work on a thread of its own, not on one of the few that run tasks.
    static func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: work()) }
        }
    }

    /// A few milliseconds between two questions.
    static func pause() {
        _ = poll(nil, 0, 3)
    }
}
