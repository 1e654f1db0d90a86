// SPDX-License-Identifier: MIT

import RTunDaemon
import Testing

/// Sizes, rates and durations at the points where their form changes.
struct ByteFormatTests {
    @Test(
        arguments: [
            (0, "0 B"), (812, "812 B"), (999, "999 B"), (1000, "1.0 kB"), (1049, "1.0 kB"), (1050, "1.1 kB"),
            (99_949, "99.9 kB"), (99_950, "100 kB"), (100_499, "100 kB"), (100_500, "101 kB"), (999_499, "999 kB"),
            (999_500, "1.0 MB"), (1_234_567, "1.2 MB"), (1_200_000_000, "1.2 GB"), (34_500_000_000_000, "34.5 TB"),
            (2_000_000_000_000_000, "2.0 PB"), (.max, "18.4 EB"),
        ] as [(UInt64, String)]
    )
    func `a size has at most three digits and a decimal unit`(bytes: UInt64, expected: String) {
        #expect(ByteFormat.size(bytes) == expected)
    }

    @Test func `no size takes over seven columns`() {
        var bytes: UInt64 = 1
        while bytes < .max / 3 {
            for near in [bytes - 1, bytes, bytes + 1] { #expect(ByteFormat.size(near).utf8.count <= 7, "\(near)") }
            bytes = bytes * 3 / 2 + 1
        }
    }

    @Test(
        arguments: [
            (0, "0 B/s"), (34_500_000, "34.5 MB/s"), (999.9, "999 B/s"), (-1, "0 B/s"), (.nan, "0 B/s"),
            (.infinity, "18.4 EB/s"), (1e30, "18.4 EB/s"),
        ] as [(Double, String)]
    )
    func `a rate is a size per second, whatever the number`(rate: Double, expected: String) {
        #expect(ByteFormat.rate(rate) == expected)
    }

    @Test(
        arguments: [
            (0, "0:00"), (7.9, "0:07"), (62, "1:02"), (3599.9, "59:59"), (3600, "1 h 00 min"), (7380, "2 h 03 min"),
            (86_399, "23 h 59 min"), (86_400, "1 d 00 h"), (273_600, "3 d 04 h"), (8_639_999, "99 d 23 h"),
            (8_640_000, "> 99 d"), (.infinity, "> 99 d"), (-5, "0:00"), (.nan, "0:00"),
        ] as [(Double, String)]
    )
    func `a duration has the two units that matter`(seconds: Double, expected: String) {
        #expect(ByteFormat.duration(seconds) == expected)
    }

    @Test(
        arguments: [
            (0, "0.0 s"), (0.44, "0.4 s"), (0.46, "0.5 s"), (59.9, "59.9 s"), (59.96, "0:59"), (60, "1:00"),
            (.nan, "0:00"),
        ] as [(Double, String)]
    )
    func `the time of something finished has tenths below a minute`(seconds: Double, expected: String) {
        #expect(ByteFormat.elapsed(seconds) == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("0.0m", 0), ("1", 1024), ("500", 512_000), ("1.5m", 1_572_864), ("1.5M", 1_572_864), (".5", 512),
            ("2.", 2048), ("1k", 1024), ("1g", 1 << 30), ("1t", 1 << 40), ("1MiB", 1 << 20), ("1mb", 1_000_000),
            ("20MB", 20_000_000), ("1KB", 1000), ("512b", 512), ("600B", 600), ("0.000001g", 1073),
            ("1.9999999", 2047), ("16777215t", 16_777_215 << 40),
        ] as [(String, UInt64)]
    )
    func `a rate reads as rsync reads it`(text: String, expected: UInt64) throws {
        #expect(try ByteFormat.parseRate(text) == expected)
    }

    @Test(
        arguments: [
            ("", .malformed), (".", .malformed), ("m", .malformed), ("1x", .malformed), ("1mm", .malformed),
            ("-1", .malformed), ("+1", .malformed), ("1 m", .malformed), (" 1", .malformed), ("1.2.3", .malformed),
            ("1e3", .malformed), ("1ibm", .malformed), ("1bb", .malformed), ("١", .malformed), ("511b", .tooSmall),
            ("0.1", .tooSmall), ("0.0000001", .tooSmall), ("16777216t", .tooLarge),
            ("18446744073709551616b", .tooLarge),
            ("99999999999999999999999", .tooLarge),
        ] as [(String, ByteFormat.RateError)]
    )
    func `what is no rate is refused with the reason`(text: String, expected: ByteFormat.RateError) {
        #expect(throws: expected) { try ByteFormat.parseRate(text) }
    }
}
