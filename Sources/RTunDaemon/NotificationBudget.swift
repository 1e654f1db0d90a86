// SPDX-License-Identifier: MIT

/// Decides which notifications are shown: at most ten a minute from one origin, then one summary of the rest.
///
/// A pure value: time comes in as seconds of a monotonic clock, and the owner shows what it is told to show. Whoever
/// owns it calls `takeSummaries(at:)` when `nextSummary` is reached.
package struct NotificationBudget: Sendable {
    /// What is shown instead of the notifications that were held back.
    package struct Summary: Equatable, Sendable, CustomStringConvertible {
        package let origin: String
        package let count: Int

        /// The sentence for the user; the origin is still as it was given, the notifier makes it printable.
        package var description: String {
            "\(count) more \(count == 1 ? "notification" : "notifications") from \(origin)"
        }
    }

    private struct History {
        /// When the notifications of the last minute were shown, oldest first; never more than `limit`.
        var shown: [Int64] = []
        var heldBack = 0
        /// When the first of those held back arrived.
        var heldBackSince: Int64 = 0
    }

    private let limit: Int
    private let window: Int64
    private var histories: [String: History] = [:]

    /// Makes an unspent budget.
    ///
    /// - Parameters:
    ///   - limit: how many of one origin are shown within any `window`.
    ///   - window: seconds.
    package init(limit: Int = 10, window: Int64 = 60) {
        precondition(limit > 0 && window > 0)
        self.limit = limit
        self.window = window
    }

    /// Whether a notification of `origin` that arrives `now` is shown; if not, it is counted for the summary.
    package mutating func admit(_ origin: String, at now: Int64) -> Bool {
        forgetIdleOrigins(at: now)
        var history = histories[origin, default: History()]
        history.shown.removeAll { now - $0 >= window }
        // Until the summary is due, nothing overtakes what was held back.
        let isHolding = history.heldBack > 0 && now - history.heldBackSince < window
        let isAdmitted = !isHolding && history.shown.count < limit
        if isAdmitted {
            history.shown.append(now)
        } else {
            if history.heldBack == 0 { history.heldBackSince = now }
            history.heldBack += 1
        }
        histories[origin] = history
        return isAdmitted
    }

    /// When the next summary is due, or nil if nothing is held back.
    package var nextSummary: Int64? {
        histories.values.lazy.filter { $0.heldBack > 0 }.map { $0.heldBackSince + window }.min()
    }

    /// The summaries that are due, sorted by origin; each is handed out once.
    package mutating func takeSummaries(at now: Int64) -> [Summary] {
        var summaries: [Summary] = []
        for (origin, history) in histories where history.heldBack > 0 && now - history.heldBackSince >= window {
            summaries.append(Summary(origin: origin, count: history.heldBack))
            histories[origin]?.heldBack = 0
        }
        forgetIdleOrigins(at: now)
        return summaries.sorted { $0.origin < $1.origin }
    }

    private mutating func forgetIdleOrigins(at now: Int64) {
        histories = histories.filter { _, history in
            history.heldBack > 0 || history.shown.last.map { now - $0 < window } ?? false
        }
    }
}
