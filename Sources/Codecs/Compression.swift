// SPDX-License-Identifier: MIT

/// A codec together with the level at which to run it.
///
/// Its textual form, which `--compress` takes and ``description`` gives, is `none`, `zlib:LEVEL` or `zstd:LEVEL`.
package struct Compression: Sendable, Hashable, CustomStringConvertible {
    /// The levels of zlib, from fast to small.
    package static let zlibLevels = 1...9

    /// The levels of zstd, from fast to small: the negative ones are the library's `--fast=N`.
    ///
    /// 0 stands for ``defaultZstdLevel``, as in zstd itself.
    package static let zstdLevels = -7...22

    /// The level of `zlib` without a number.
    package static let defaultZlibLevel = 6

    /// The level of `zstd` without a number.
    package static let defaultZstdLevel = 3

    /// No compression: payloads are the raw bytes.
    package static let stored = Compression(codec: .stored, level: 0)

    /// The codec to use.
    package let codec: Codec

    /// The level, in the range of `codec`; 0 for ``stored``.
    package let level: Int32

    private init(codec: Codec, level: Int) {
        self.codec = codec
        self.level = Int32(level)
    }

    /// zlib at `level`, which must lie in ``zlibLevels``.
    package static func zlib(_ level: Int = defaultZlibLevel) -> Compression {
        precondition(zlibLevels.contains(level), "zlib has no level \(level)")
        return Compression(codec: .zlib, level: level)
    }

    /// zstd at `level`, which must lie in ``zstdLevels``.
    package static func zstd(_ level: Int = defaultZstdLevel) -> Compression {
        precondition(zstdLevels.contains(level), "zstd has no level \(level)")
        return Compression(codec: .zstd, level: level == 0 ? defaultZstdLevel : level)
    }

    /// Reads `none`, `zlib`, `zlib:N`, `zstd` or `zstd:N`; nil for anything else, including a level out of range.
    package init?(parsing text: some StringProtocol) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var level: Int?
        if parts.count == 2 {
            // Int would also take "+3": one spelling for each level is enough.
            guard let number = Int(parts[1]), !parts[1].hasPrefix("+") else { return nil }
            level = number
        }
        switch parts[0] {
        case "none" where level == nil:
            self = .stored
        case "zlib":
            let level = level ?? Self.defaultZlibLevel
            guard Self.zlibLevels.contains(level) else { return nil }
            self = .zlib(level)
        case "zstd":
            let level = level ?? Self.defaultZstdLevel
            guard Self.zstdLevels.contains(level) else { return nil }
            self = .zstd(level)
        default:
            return nil
        }
    }

    package var description: String {
        switch codec {
        case .stored: "none"
        case .zlib: "zlib:\(level)"
        case .zstd: "zstd:\(level)"
        }
    }
}
