// SPDX-License-Identifier: MIT

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A moment of the wall clock, as file systems keep it.
package struct Timestamp: Sendable, Hashable, Comparable {
    /// Seconds since 1970-01-01 UTC; negative before.
    package let seconds: Int64

    /// Nanoseconds after `seconds`, 0 ..< 1,000,000,000 in every time that the system reports.
    package let nanoseconds: Int32

    package init(seconds: Int64, nanoseconds: Int32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: Int32(truncatingIfNeeded: time.tv_nsec))
    }

    /// The wall clock now (`CLOCK_REALTIME`); it may jump, so it is no base for timeouts.
    package static func now() -> Timestamp {
        var time = timespec()
        // Cannot fail: the clock exists everywhere and the pointer is valid.
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(time)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}
