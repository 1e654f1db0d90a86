// SPDX-License-Identifier: MIT
import Descriptors

extension Timestamp {
    /// The moment as ISO 8601 in UTC with milliseconds, for example `2026-11-22T23:40:01.123Z`.
    ///
    /// The calendar is computed here (days from a 1 March, in eras of 400 years), so that no time zone database and no
    /// `gmtime_r` is needed.
    var text: String {
        let day = seconds.floorQuotient(86_400)
        let time = seconds - day * 86_400
        // Day 0 becomes 0000-03-01, so that leap days end years.
        let shifted = day + 719_468
        let era = shifted.floorQuotient(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let calendarMonth = month < 10 ? month + 3 : month - 9
        let year = era * 400 + yearOfEra + (calendarMonth <= 2 ? 1 : 0)
        let date = "\(year.padded(4))-\(calendarMonth.padded(2))-\(dayOfMonth.padded(2))"
        let clock = "\((time / 3600).padded(2)):\((time / 60 % 60).padded(2)):\((time % 60).padded(2))"
        return "\(date)T\(clock).\((Int64(nanoseconds) / 1_000_000).padded(3))Z"
    }
}

extension Int64 {
    /// The quotient rounded towards minus infinity, by a positive divisor.
    fileprivate func floorQuotient(_ divisor: Int64) -> Int64 {
        self / divisor - (self % divisor < 0 ? 1 : 0)
    }

    /// The digits with zeros before them, at least `width` of them.
    fileprivate func padded(_ width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
