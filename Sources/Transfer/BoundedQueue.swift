// SPDX-License-Identifier: MIT

/// A queue between tasks that holds at most `capacity` elements: whoever is too fast waits.
///
/// `finish` ends it: elements that stand in it are still taken, putters and takers without one get nil or false.
package actor BoundedQueue<Element: Sendable> {
    private let capacity: Int
    private var elements: [Element] = []
    private var putters: [CheckedContinuation<Void, Never>] = []
    private var takers: [CheckedContinuation<Void, Never>] = []
    private var isFinished = false

    package init(capacity: Int) {
        self.capacity = capacity
    }

    /// Adds an element, waiting for room; false where the queue was finished.
    package func put(_ element: Element) async -> Bool {
        while elements.count >= capacity, !isFinished {
            await withCheckedContinuation { putters.append($0) }
        }
        guard !isFinished else { return false }
        elements.append(element)
        wakeOne(&takers)
        return true
    }

    /// The oldest element, waiting for one; nil behind the last one of a finished queue.
    package func take() async -> Element? {
        while elements.isEmpty, !isFinished {
            await withCheckedContinuation { takers.append($0) }
        }
        guard !elements.isEmpty else { return nil }
        let element = elements.removeFirst()
        wakeOne(&putters)
        return element
    }

    /// Adds an element if there is room now; else it is dropped.
    package func offer(_ element: Element) {
        guard elements.count < capacity, !isFinished else { return }
        elements.append(element)
        wakeOne(&takers)
    }

    /// The oldest element, nil where there is none now.
    package func takeIfAny() -> Element? {
        guard !elements.isEmpty else { return nil }
        let element = elements.removeFirst()
        wakeOne(&putters)
        return element
    }

    /// Ends the queue; with `discarding` what stands in it is dropped.
    package func finish(discarding: Bool = false) {
        isFinished = true
        if discarding { elements = [] }
        let woken = putters + takers
        putters = []
        takers = []
        for continuation in woken { continuation.resume() }
    }

    private func wakeOne(_ waiting: inout [CheckedContinuation<Void, Never>]) {
        if !waiting.isEmpty { waiting.removeFirst().resume() }
    }
}
