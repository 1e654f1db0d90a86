// SPDX-License-Identifier: MIT

import Descriptors
import Foundation
import Testing

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

@Suite("Interrupted calls")
struct InterruptionTests {
    /// The thread that reads, for the thread that disturbs it.
    private struct Reader: @unchecked Sendable {
        // A thread number is a plain value; the thread outlives its use because it waits for the disturber's byte.
        let thread: pthread_t
    }

    @Test("A read goes on when signals interrupt it", .timeLimit(.minutes(1)))
    func readSurvivesSignals() throws {
        var pair = try UnixSocket.pair()
        let reader = pair.takeFirst()
        let writer = pair.takeSecond().relinquish()
        // Without SA_RESTART, so that the system call itself fails with EINTR.
        var action = sigaction()
        #if canImport(Darwin)
        action.__sigaction_u.__sa_handler = { _ in }
        #else
        action.__sigaction_handler.sa_handler = { _ in }
        #endif
        #expect(sigaction(SIGUSR1, &action, nil) == 0)
        // Threads of the pool block signals.
        var wanted = sigset_t()
        var before = sigset_t()
        sigemptyset(&wanted)
        sigaddset(&wanted, SIGUSR1)
        pthread_sigmask(SIG_UNBLOCK, &wanted, &before)
        defer {
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }

        let target = Reader(thread: pthread_self())
        Thread.detachNewThread {
            for _ in 0..<2000 {
                _ = pthread_kill(target.thread, SIGUSR1)
                _ = sched_yield()
            }
            // The last use of the reader's thread is over before it gets what it waits for.
            let end = OwnedDescriptor(adopting: writer)
            _ = failure { try end.append("x") }
        }
        let bytes = try reader.someBytes(8)
        #expect(bytes == Array("x".utf8))
    }
}
