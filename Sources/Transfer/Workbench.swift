// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors
package import NIOCore
package import NIOPosix

/// What one job needs to work on one frame, made once and lent: buffers and the contexts of the C libraries.
// One job has it at a time: `BoundedQueue` hands it from one to the next and orders their accesses.
package final class Workbench: @unchecked Sendable {
    /// Raw bytes of a full frame.
    static let frameBytes = 4 << 20

    /// The raw bytes of the frame.
    package let slab: Slab
    /// For reading back.
    package let scratch: Slab
    /// The message that the frame becomes; taken when it is done, and given back when it was written.
    package var output = ByteBuffer()
    package var digester: Digester
    package var compressor: Compressor
    package var decompressor: Decompressor

    package init() throws {
        slab = try Slab(capacity: Self.frameBytes)
        scratch = try Slab(capacity: 256 << 10)
        digester = Digester()
        compressor = try Compressor(.stored)
        decompressor = try Decompressor()
    }
}

/// The threads that do blocking work, and the benches they work at; both bounded by the cores allowed.
package struct Workshop: Sendable {
    /// Reads, hashes, compresses and writes frames.
    package let workers: NIOThreadPool
    /// Walks sources, or syncs file systems: one thing after the other.
    package let serial: NIOThreadPool
    package let benches: BoundedQueue<Workbench>
    package let benchCount: Int

    /// Threads that make or write frames.
    package static var workerCount: Int { min(max(ProcessContext.allowedProcessorCount, 2), 4) }

    /// Starts the threads: at most four workers, at least two since they also wait for the disk.
    ///
    /// With `RTUN_SINGLE_THREADED=1` one thread does everything, so that a test can fail the n-th call of a process
    /// (`strace` counts calls by thread).
    package init() async throws {
        let isSingleThreaded = ProcessContext.environment("RTUN_SINGLE_THREADED") == "1"
        let count = isSingleThreaded ? 1 : Self.workerCount
        workers = NIOThreadPool(numberOfThreads: count)
        workers.start()
        serial = isSingleThreaded ? workers : NIOThreadPool(numberOfThreads: 1)
        if !isSingleThreaded { serial.start() }
        benchCount = count + 1
        benches = BoundedQueue(capacity: benchCount)
        for _ in 0..<benchCount { _ = await benches.put(try Workbench()) }
    }

    /// Runs blocking work on one of the workers.
    package func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await workers.runIfActive(body)
    }

    package func shutDown() async {
        await benches.finish(discarding: true)
        do { try await workers.shutdownGracefully() } catch {
            // It runs no more jobs either way.
        }
        guard serial !== workers else { return }
        do { try await serial.shutdownGracefully() } catch {
            // Likewise.
        }
    }
}
