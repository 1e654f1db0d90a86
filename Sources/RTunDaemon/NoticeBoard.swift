// SPDX-License-Identifier: MIT

package import Logging
private import NIOCore
package import Transfer

/// Shows notifications within their budget, and one summary for those held back.
package actor NoticeBoard {
    private let notifier: Notifier
    private let logger: Logger
    private var budget = NotificationBudget()
    private var summaryTask: Task<Void, Never>?

    package init(notifier: Notifier, logger: Logger) {
        self.notifier = notifier
        self.logger = logger
    }

    package func show(_ notice: DesktopNotice) async -> NotifyOutcome {
        let now = Self.seconds
        guard budget.admit(notice.origin.budgetName, at: now) else {
            planSummary()
            return .heldBack
        }
        return await shown(notice)
    }

    private func shown(_ notice: DesktopNotice) async -> NotifyOutcome {
        switch await notifier.show(notice) {
        case .shown: return .shown
        case .failed(let reason), .unavailable(let reason):
            logger.warning("a notification could not be shown: \(reason)")
            return .notShown
        }
    }

    /// One task at a time waits for the next summary; it ends with the last one.
    private func planSummary() {
        guard summaryTask == nil, let due = budget.nextSummary else { return }
        let seconds = max(0, due - Self.seconds)
        summaryTask = Task {
            try? await Task.sleep(for: .seconds(seconds), clock: .suspending)
            await self.showSummaries()
        }
    }

    private func showSummaries() async {
        summaryTask = nil
        for summary in budget.takeSummaries(at: Self.seconds) {
            _ = await shown(DesktopNotice(title: "", body: summary.description, origin: .label("rtun")))
        }
        planSummary()
    }

    private static var seconds: Int64 { Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000_000) }
}
