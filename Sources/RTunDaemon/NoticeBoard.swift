// SPDX-License-Identifier: MIT

package import Logging
private import NIOCore
package import Transfer

/// Shows notifications within their budget, and one summary for those held back.
package actor NoticeBoard {
    private let desktop: Desktop
    private let logger: Logger
    private var budget = NotificationBudget()
    private var summaryTask: Task<Void, Never>?
    /// The desktop's numbers of notices that have an id, oldest first.
    private var numbers: [(key: NumberKey, number: UInt32)] = []

    /// An id belongs to the origin that uses it.
    private struct NumberKey: Equatable {
        let origin: String
        let id: String
    }

    /// How long whoever asked for a notification waits for the desktop.
    ///
    /// Below `TransferLimits.probeSeconds`, after which a client takes the laptop for gone.
    private static let answerPatience: Duration = .milliseconds(1_200)

    /// Ids that are remembered.
    private static let numberLimit = 256

    package init(desktop: Desktop, logger: Logger) {
        self.desktop = desktop
        self.logger = logger
    }

    /// Shows a notice; with an `id` it takes the place of the last one of this origin with that id.
    package func show(_ notice: DesktopNotice, id: String? = nil) async -> NotifyOutcome {
        let now = Self.seconds
        guard budget.admit(notice.origin.budgetName, at: now) else {
            planSummary()
            return .heldBack
        }
        let key = id.map { NumberKey(origin: notice.origin.budgetName, id: $0) }
        // A desktop that hangs goes on by itself, up to the notifier's own limit.
        let (outcomes, outcome) = AsyncStream.makeStream(of: NotifyOutcome.self)
        Task { outcome.yield(await self.shown(notice, key)) }
        let timer = Task {
            do { try await Task.sleep(for: Self.answerPatience, clock: .suspending) } catch { return }
            logger.warning("a notification was not shown in time: the desktop does not answer")
            outcome.yield(.notShown)
        }
        defer { timer.cancel() }
        return await outcomes.first { _ in true } ?? .notShown
    }

    /// Shows a notice with a button that opens `folder`, an absolute path in an inbox, without waiting for the user.
    package func show(_ notice: DesktopNotice, offering folder: String) async {
        guard budget.admit(notice.origin.budgetName, at: Self.seconds) else {
            planSummary()
            return
        }
        await desktop.offer(notice, folder: folder)
    }

    private func shown(_ notice: DesktopNotice, _ key: NumberKey? = nil) async -> NotifyOutcome {
        let earlier = key.flatMap { key in numbers.first { $0.key == key }?.number }
        switch await desktop.show(notice, replacing: earlier) {
        case .shown(let number):
            if let key, let number {
                numbers.removeAll { $0.key == key }
                numbers.append((key, number))
                numbers.removeFirst(max(0, numbers.count - Self.numberLimit))
            }
            return .shown
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
