// SPDX-License-Identifier: MIT
import RTunDaemon
import Testing

struct NotificationBudgetTests {
    @Test("a flood shows ten notifications and then one summary")
    func flood() {
        var budget = NotificationBudget()
        var shown = 0
        for second in 0..<10 as Range<Int64> {
            for _ in 0..<1000 where budget.admit("gpu01", at: second) { shown += 1 }
        }
        #expect(shown == 10)
        #expect(budget.nextSummary == 60)
        let summaries = (59...61).map { budget.takeSummaries(at: $0).map(\.description) }
        #expect(summaries == [[], ["9990 more notifications from gpu01"], []])
        #expect(budget.nextSummary == nil)
    }

    @Test("one origin's flood costs another nothing")
    func originsAreSeparate() {
        var budget = NotificationBudget(limit: 1)
        let answers = [
            budget.admit("a", at: 0), budget.admit("a", at: 0), budget.admit("b", at: 0), budget.admit("b", at: 5),
        ]
        #expect(answers == [true, false, true, false])
        #expect(budget.nextSummary == 60)
        let summaries = budget.takeSummaries(at: 60)
        #expect(summaries.map(\.description) == ["1 more notification from a"])
        #expect(budget.nextSummary == 65)
    }

    @Test("no minute, wherever it begins, shows more than the limit")
    func slidingMinute() {
        var budget = NotificationBudget(limit: 3)
        var shown: [Int64] = []
        for second in 0..<1000 as Range<Int64> {
            if budget.admit("a", at: second) { shown.append(second) }
            _ = budget.takeSummaries(at: second)
        }
        for start in shown {
            #expect(shown.filter { start..<start + 60 ~= $0 }.count <= 3)
        }
        #expect(shown.count > 20)
    }

    @Test("a quiet origin starts afresh after a minute")
    func recovers() {
        var budget = NotificationBudget(limit: 2)
        let before = [100, 101, 159].map { budget.admit("a", at: $0) }
        let summaries = budget.takeSummaries(at: 219)
        let after = [219, 220, 221].map { budget.admit("a", at: $0) }
        #expect(before == [true, true, false])
        #expect(summaries.count == 1)
        #expect(after == [true, true, false])
    }

    @Test("an owner who is late with the summary starves nobody")
    func lateOwner() {
        var budget = NotificationBudget(limit: 1)
        let answers = [0, 1, 60, 61].map { budget.admit("a", at: $0) }
        #expect(answers == [true, false, false, true])
    }
}
