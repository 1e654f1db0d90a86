// SPDX-License-Identifier: MIT

/// What keeps a test from being carried out at all, as a sentence; what a test finds out is an expectation instead.
package struct TestSupportFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
