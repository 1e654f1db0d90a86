// SPDX-License-Identifier: MIT

/// Sizes, rates and durations as people read and write them.
package enum ByteFormat {
    private static let units = ["kB", "MB", "GB", "TB", "PB", "EB"]

    /// A size in decimal units: "812 B", "1.2 kB", "34.5 MB", "120 GB".
    ///
    /// One decimal below 100 of a unit, none from there on, rounded half up: never over seven columns.
    package static func size(_ bytes: UInt64) -> String {
        guard bytes >= 1000 else { return "\(bytes) B" }
        var unit = 0
        var scale: UInt64 = 1000
        while unit < units.count - 1, hundredths(of: bytes, scale: scale) >= 99_950 {
            unit += 1
            scale *= 1000
        }
        let value = hundredths(of: bytes, scale: scale)
        guard value < 9_995 else { return "\((value + 50) / 100) \(units[unit])" }
        let tenths = (value + 5) / 10
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// A rate in bytes per second, such as "34.5 MB/s"; what is no rate (negative, not a number) reads "0 B/s".
    package static func rate(_ bytesPerSecond: Double) -> String {
        size(whole(bytesPerSecond)) + "/s"
    }

    /// A duration in seconds, cut to whole ones: "0:07", "1:02", from an hour on "2 h 03 min", from a day "3 d 04 h".
    ///
    /// Negative reads "0:00", over 99 days "> 99 d": never over ten columns.
    package static func duration(_ seconds: Double) -> String {
        let total = whole(seconds)
        let minutes = total / 60
        let hours = minutes / 60
        let days = hours / 24
        if minutes < 60 { return "\(minutes):\(twoDigits(total % 60))" }
        if hours < 24 { return "\(hours) h \(twoDigits(minutes % 60)) min" }
        return days <= 99 ? "\(days) d \(twoDigits(hours % 24)) h" : "> 99 d"
    }

    /// The time that something finished took, in seconds: "0.4 s", "12.3 s", from a minute on as `duration`.
    package static func elapsed(_ seconds: Double) -> String {
        guard seconds < 59.95 else { return duration(seconds) }
        let tenths = whole(seconds * 10 + 0.5)
        return "\(tenths / 10).\(tenths % 10) s"
    }

    /// Bytes in hundredths of a unit, cut; without overflow for any number of bytes.
    private static func hundredths(of bytes: UInt64, scale: UInt64) -> UInt64 {
        // bytes / scale is at most 18_446_744_073_709_551 (scale >= 1000), and so is the remainder below 10^18.
        let part = scale >= 100_000 ? bytes % scale / (scale / 100) : bytes % scale * 100 / scale
        return bytes / scale * 100 + part
    }

    private static func twoDigits(_ value: UInt64) -> String {
        value < 10 ? "0\(value)" : "\(value)"
    }

    /// A number of bytes or seconds cut to a whole one; 0 for what is below or no number at all.
    private static func whole(_ value: Double) -> UInt64 {
        guard value > 0 else { return 0 }
        return UInt64(exactly: value.rounded(.down)) ?? .max
    }
}

extension ByteFormat {
    /// Why a text is no rate for `--bwlimit`; the description is meant for the user.
    package enum RateError: Error, Equatable, CustomStringConvertible {
        /// Not a number with at most one suffix.
        case malformed
        /// More than 64 bits of bytes per second.
        case tooLarge
        /// Above 0 and below 512 bytes per second.
        case tooSmall

        package var description: String {
            switch self {
            case .malformed: "a rate is a number with an optional suffix: 500 (KiB/s), 1.5m (MiB/s), 20MB, 0 (no limit)"
            case .tooLarge: "the rate is too large"
            case .tooSmall: "a rate is at least 512 bytes per second, or 0 for no limit"
            }
        }
    }

    /// Reads a RATE as rsync's `--bwlimit` does, and returns bytes per second; 0 means no limit.
    ///
    /// A bare number is KiB per second. The suffixes, in either case, are `b` (bytes), `k` `m` `g` `t` (powers of 1024;
    /// so with `ib` after them) and `kb` `mb` `gb` `tb` (powers of 1000). Fractions are allowed: `1.5m`.
    package static func parseRate(_ text: String) throws(RateError) -> UInt64 {
        var rest = text.utf8[...]
        let wholeDigits = digits(&rest)
        var fractionDigits: [UInt64] = []
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fractionDigits = digits(&rest)
        }
        guard !wholeDigits.isEmpty || !fractionDigits.isEmpty else { throw .malformed }
        let unit = try multiplier(of: rest)

        var bytes: UInt64 = 0
        for digit in wholeDigits {
            bytes = try sum(try product(bytes, 10), digit)
        }
        bytes = try product(bytes, unit)
        // Six decimals: enough for any rate, and few enough for 64 bits.
        var numerator: UInt64 = 0
        var denominator: UInt64 = 1
        for digit in fractionDigits.prefix(6) {
            numerator = numerator * 10 + digit
            denominator *= 10
        }
        bytes = try sum(bytes, try product(numerator, unit) / denominator)
        let isZero = (wholeDigits + fractionDigits).allSatisfy { $0 == 0 }
        guard isZero || bytes >= 512 else { throw .tooSmall }
        return bytes
    }

    private static func digits(_ rest: inout Substring.UTF8View) -> [UInt64] {
        var values: [UInt64] = []
        while let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            values.append(UInt64(byte - UInt8(ascii: "0")))
            rest.removeFirst()
        }
        return values
    }

    /// How many bytes one of the suffix stands for.
    private static func multiplier(of suffix: Substring.UTF8View) throws(RateError) -> UInt64 {
        // ASCII letters to lower case; no other byte becomes a letter of a suffix by this.
        let letters = suffix.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        guard let first = letters.first else { return 1024 }
        if letters == Array("b".utf8) { return 1 }
        guard let power = Array("kmgt".utf8).firstIndex(of: first) else { throw .malformed }
        let base: UInt64
        switch letters.dropFirst() {
        case []: base = 1024
        case Array("ib".utf8)[...]: base = 1024
        case Array("b".utf8)[...]: base = 1000
        default: throw .malformed
        }
        return (0..<power).reduce(base) { product, _ in product * base }
    }

    private static func product(_ left: UInt64, _ right: UInt64) throws(RateError) -> UInt64 {
        let (value, overflow) = left.multipliedReportingOverflow(by: right)
        if overflow { throw .tooLarge }
        return value
    }

    private static func sum(_ left: UInt64, _ right: UInt64) throws(RateError) -> UInt64 {
        let (value, overflow) = left.addingReportingOverflow(right)
        if overflow { throw .tooLarge }
        return value
    }
}
