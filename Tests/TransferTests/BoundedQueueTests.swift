// SPDX-License-Identifier: MIT

import Synchronization
import Testing
import Transfer

@Suite(.timeLimit(.minutes(1)))
struct BoundedQueueTests {
    @Test func `elements come out in the order in which they went in`() async {
        let queue = BoundedQueue<Int>(capacity: 3)
        for number in 0..<3 { #expect(await queue.put(number)) }
        for number in 0..<3 { #expect(await queue.take() == number) }
        #expect(await queue.takeIfAny() == nil)
    }

    @Test(arguments: [1, 2, 5]) func `it never holds more than its capacity and loses nothing`(_ capacity: Int) async {
        let queue = BoundedQueue<Int>(capacity: capacity)
        // Counted up behind `put` and down before `take` ends, so it may be too large by the takers at work.
        let count = Count()
        await withTaskGroup(of: Void.self) { group in
            for producer in 0..<4 {
                group.addTask {
                    for number in 0..<250 {
                        _ = await queue.put(producer * 1_000 + number)
                        count.put()
                    }
                }
            }
            for _ in 0..<3 {
                group.addTask {
                    while let element = await queue.take() {
                        if count.take(element) == 1_000 { await queue.finish() }
                    }
                }
            }
        }
        let all = count.taken
        #expect(all.count == 1_000 && Set(all).count == 1_000)
        #expect(count.highest <= capacity + 3)
        for producer in 0..<4 {
            let own = all.filter { $0 / 1_000 == producer }
            #expect(own.count == 250)
        }
    }

    @Test func `a putter waits for room`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        let count = Count()
        #expect(await queue.put(0))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = await queue.put(1)
                count.put()
            }
            for _ in 0..<200 { await Task.yield() }
            #expect(count.highest == 0)
            #expect(await queue.take() == 0)
            #expect(await queue.take() == 1)
        }
        #expect(count.highest == 1)
    }

    @Test(arguments: [false, true]) func `the end wakes everyone`(_ discarding: Bool) async {
        let full = BoundedQueue<Int>(capacity: 1)
        let empty = BoundedQueue<Int>(capacity: 1)
        #expect(await full.put(0))
        let results = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<10 {
                group.addTask { await full.put(1) }
                group.addTask { await empty.take() != nil }
            }
            for _ in 0..<200 { await Task.yield() }
            await full.finish(discarding: discarding)
            await empty.finish(discarding: discarding)
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results == [Bool](repeating: false, count: 20))
        #expect(await full.take() == (discarding ? nil : 0))
        #expect(await full.take() == nil)
        #expect(await full.put(2) == false)
        #expect(await full.take() == nil)
    }

    @Test func `an offer is dropped where there is no room`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        await queue.offer(0)
        await queue.offer(1)
        #expect(await queue.takeIfAny() == 0)
        #expect(await queue.takeIfAny() == nil)
        await queue.finish()
        await queue.offer(2)
        #expect(await queue.take() == nil)
    }

    @Test func `an offer wakes who waits for it`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        async let taken = queue.take()
        for _ in 0..<50 { await Task.yield() }
        await queue.offer(7)
        #expect(await taken == 7)
    }

    @Test func `taking without waiting makes room for a putter`() async {
        let queue = BoundedQueue<Int>(capacity: 1)
        #expect(await queue.put(0))
        async let put = queue.put(1)
        for _ in 0..<50 { await Task.yield() }
        #expect(await queue.takeIfAny() == 0)
        #expect(await put)
        #expect(await queue.take() == 1)
    }
}

/// What went in and came out, counted by many tasks.
private final class Count: Sendable {
    private struct State {
        var held = 0
        var highest = 0
        var taken: [Int] = []
    }

    private let state = Mutex(State())

    var highest: Int { state.withLock { $0.highest } }
    var taken: [Int] { state.withLock { $0.taken } }

    func put() {
        state.withLock { state in
            state.held += 1
            state.highest = max(state.highest, state.held)
        }
    }

    /// Returns how many were taken.
    func take(_ element: Int) -> Int {
        state.withLock { state in
            state.held -= 1
            state.taken.append(element)
            return state.taken.count
        }
    }
}
