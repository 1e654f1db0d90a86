// SPDX-License-Identifier: MIT

/// What becomes of a name that is taken when a send is published (`docs/protocol.md` section 5.9).
package enum ConflictRule: UInt64, Sendable, Hashable, CaseIterable {
    /// What the same source delivered is replaced or merged; beside anything else stands `name (2)`.
    case auto = 0
    /// Nothing is replaced or merged: the new one becomes `name (2)`.
    case rename = 1
    /// What stands there stays, and the new one is dropped.
    case skip = 2
    /// Nothing of the send is published.
    case error = 3

    /// A taken name is passed over for the next number.
    var numbers: Bool { self == .auto || self == .rename }
}
