// SPDX-License-Identifier: MIT

import RTunDaemon

extension HostLabel {
    private static let longest = 32

    /// The label of a destination as it was typed: its host part, in small letters, made to fit.
    ///
    /// What is longer than a label ends in a checksum of the whole, so that two long names stay two.
    init(destination: String) {
        var host = destination[...]
        let isAddress = host.hasPrefix("ssh://")
        if isAddress { host = host.dropFirst("ssh://".count) }
        if let at = host.lastIndex(of: "@") { host = host[host.index(after: at)...] }
        if isAddress {
            host = host.prefix { $0 != "/" }
            if !host.hasSuffix("]"), let colon = host.lastIndex(of: ":") { host = host[..<colon] }
        }
        var label = ""
        for byte in host.lowercased().utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                label.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where label.isEmpty: break
            case UInt8(ascii: "."), UInt8(ascii: "_"): label.unicodeScalars.append(Unicode.Scalar(byte))
            default: label += "-"
            }
        }
        if label.utf8.count > Self.longest {
            let checksum = String(Self.checksum(host.utf8), radix: 36)
            label = label.prefix(Self.longest - 1 - checksum.utf8.count) + "-" + checksum
        }
        // Nothing is left of a name without a letter, and one word is the plain socket's.
        self = HostLabel(label) ?? HostLabel(label.isEmpty ? "host" : "\(label)-host") ?? Self.unnamed
    }

    private static let unnamed = HostLabel(destination: "host")

    /// FNV-1a, 32 bits: tells names apart, protects against nobody.
    private static func checksum(_ bytes: Substring.UTF8View) -> UInt32 {
        bytes.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
    }
}
