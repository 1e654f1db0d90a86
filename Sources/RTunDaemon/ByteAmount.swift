// SPDX-License-Identifier: MIT

/// An amount of bytes as people write it: `500 MiB`, `1.5GB`, `4096`.
struct ByteAmount: Equatable {
    let bytes: UInt64

    /// Takes a decimal number of at most twelve digits and a unit of `units`; nil for anything else.
    init?(_ text: String) {
        let text = text.trimming
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = String(text.dropFirst(number.count)).trimming.lowercased()
        guard let factor = Self.units[unit] else { return nil }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ (1...12).contains($0.count) }),
            let whole = UInt64(parts[0])
        else { return nil }
        var (bytes, overflow) = whole.multipliedReportingOverflow(by: factor)
        if parts.count == 2, let fraction = Double("0." + parts[1]) {
            let (sum, isTooLarge) = bytes.addingReportingOverflow(UInt64(fraction * Double(factor)))
            (bytes, overflow) = (sum, overflow || isTooLarge)
        }
        guard !overflow, bytes <= UInt64(Int64.max) else { return nil }
        self.bytes = bytes
    }

    private static let units: [String: UInt64] = [
        "": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
        "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
        "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    ]
}

extension String {
    fileprivate var trimming: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
