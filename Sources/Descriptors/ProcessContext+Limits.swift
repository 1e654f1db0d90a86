// SPDX-License-Identifier: MIT

internal import CDescriptors
internal import SystemPackage

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

extension ProcessContext {
    /// Sets the permissions that new files never get, for the whole process, and returns the former ones.
    @discardableResult
    package static func setUmask(_ mask: UInt32) -> UInt32 {
        UInt32(umask(mode_t(truncatingIfNeeded: mask & 0o777)))
    }

    /// Makes writing to a closed pipe or socket fail with EPIPE instead of killing the process.
    package static func ignoreSIGPIPE() {
        // Fails for an invalid signal number alone.
        _ = descriptors_ignore_sigpipe()
    }

    /// Opens `/dev/null` for each of 0, 1 and 2 that is closed, before anything else is opened.
    package static func openStandardStreams() { descriptors_open_standard_streams() }

    /// Makes the allocator give large buffers back and share its arenas (`mallopt`, glibc alone).
    ///
    /// To be called before threads start.
    package static func tuneAllocator() { descriptors_tune_allocator() }

    /// Gives the system back what is free in the allocator's arenas (`malloc_trim`, glibc alone); takes milliseconds.
    package static func trimMemory() { descriptors_trim_memory() }

    /// Raises the soft limit of open descriptors to the hard limit, at most 65,536, and returns what holds now.
    ///
    /// The cap keeps programs quick that walk over every possible descriptor after a fork.
    @discardableResult
    package static func raiseDescriptorLimit() throws(SystemError) -> Int {
        Int(
            try SystemCall.run("setrlimit", to: "raise the limit of open files") {
                descriptors_raise_limit(1 << 16)
            }
        )
    }

    /// Processors that this process may use, at least 1: an affinity mask, as batch systems set it, counts.
    package static var allowedProcessorCount: Int { Int(descriptors_allowed_processors()) }

    /// A clock that never jumps and stops while the machine sleeps, for timeouts; its origin means nothing.
    package static var monotonicNow: Duration { .nanoseconds(descriptors_monotonic_nanoseconds()) }

    /// Time for which the calling thread had a core (`CLOCK_THREAD_CPUTIME_ID`).
    package static var threadTime: Duration { .nanoseconds(descriptors_thread_nanoseconds()) }

    /// Time since boot in which the processors that this process may use had nothing to do, summed over them.
    ///
    /// In steps of a clock tick, 10 ms mostly (`/proc/stat`, `HOST_CPU_LOAD_INFO`); nil where the system does not tell.
    package static var idleTime: Duration? {
        let nanoseconds = descriptors_idle_nanoseconds()
        return nanoseconds < 0 ? nil : .nanoseconds(nanoseconds)
    }

    /// Whether a descriptor is a terminal.
    package static func isTerminal(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1
    }

    /// Columns of the terminal; nil when the descriptor is no terminal or the terminal does not say.
    package static func terminalWidth(_ descriptor: Int32) -> Int? {
        switch SystemCall.attempt({ descriptors_terminal_width(descriptor) }) {
        case .success(let columns) where columns > 0: Int(columns)
        default: nil
        }
    }
}
