// SPDX-License-Identifier: MIT

internal import Foundation

/// One file of `Fixtures/`: byte strings by name, written by `scripts/make-fixtures` from the documents alone.
package struct GoldenFile {
    /// In the order of the file.
    package let names: [String]
    private let values: [String: [UInt8]]

    package init(_ path: String) throws {
        let text = try String(contentsOfFile: FixtureLocation.fixture(path), encoding: .utf8)
        var names: [String] = []
        var values: [String: [UInt8]] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, let bytes = Self.bytes(parts[1].dropFirst()) else {
                throw TestSupportFailure("\(path) has a line that is no \"name: hex\"")
            }
            names.append(parts[0])
            values[parts[0]] = bytes
        }
        self.names = names
        self.values = values
    }

    package subscript(name: String) -> [UInt8] {
        get throws {
            guard let value = values[name] else { throw TestSupportFailure("there is no fixture \(name)") }
            return value
        }
    }

    private static func bytes(_ hex: Substring) -> [UInt8]? {
        guard hex.utf8.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        var rest = hex
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
