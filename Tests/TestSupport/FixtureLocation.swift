// SPDX-License-Identifier: MIT

/// Where the project's files are that no target may hold as resources: `Fixtures/` and `scripts/`.
package enum FixtureLocation {
    /// The root of the project, found from where this file was compiled.
    package static var project: String {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        // …/Tests/TestSupport/FixtureLocation.swift
        return parts.dropLast(3).joined(separator: "/")
    }

    /// The absolute path of a file or folder below `Fixtures/`.
    package static func fixture(_ name: String) -> String { "\(project)/Fixtures/\(name)" }

    /// The absolute path of a script.
    package static func script(_ name: String) -> String { "\(project)/scripts/\(name)" }
}
