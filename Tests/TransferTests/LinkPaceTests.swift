// SPDX-License-Identifier: MIT

import NIOCore
import Synchronization
import Testing

@testable import Transfer

struct LinkPaceTests {
    @Test func `a second frame is begun only when the first one leaves room in the window`() async throws {
        let link = try await Link()
        let pace = LinkPace(control: link.client)
        await pace.waitToBegin()
        let writing = Task {
            try await pace.write(ByteBuffer(repeating: 1, count: 4 * SendWindow.start), on: link.client)
        }
        let hasBegun = Mutex(false)
        let next = Task {
            await pace.waitToBegin()
            hasBegun.withLock { $0 = true }
        }
        // What the window holds arrives, and the writer waits for RECEIVED.
        var arrived = 0
        while arrived < SendWindow.start { arrived += try await link.server.receive()?.readableBytes ?? 0 }
        #expect(!hasBegun.withLock { $0 })
        while arrived < 4 * SendWindow.start {
            await pace.take(received: UInt64(arrived))
            arrived += try await link.server.receive()?.readableBytes ?? 0
        }
        try await writing.value
        await next.value
        #expect(hasBegun.withLock { $0 })
        await pace.finish()
    }
}
