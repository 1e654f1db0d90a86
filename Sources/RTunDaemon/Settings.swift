// SPDX-License-Identifier: MIT

/// What the laptop's `config.toml` says, checked; where it says nothing, the defaults (`docs/operations.md`).
package struct Settings: Sendable, Equatable {
    /// What the laptop calls itself towards servers.
    package var name = "laptop"
    /// The folder that receives, an absolute path; nil for the default.
    package var inbox: String?
    package var limits = Limits()
    /// Sections by the names of their gates.
    private(set) var hosts: [String: Host] = [:]

    /// How much of the disk may be used, in bytes; nil stands for the rule that `SpaceLedger` has.
    package struct Limits: Sendable, Equatable {
        /// By one transfer.
        package var transfer: UInt64?
        /// By everything in the inbox.
        package var inbox: UInt64?
        /// What stays free.
        package var floor: UInt64?

        package init() {}
    }

    /// `[host.LABEL]`: what one host may do.
    package struct Host: Sendable, Equatable {
        /// Where its files go, an absolute path; nil for its folder in the inbox.
        package var directory: String?
        /// Bytes that its folder may hold.
        package var quota: UInt64?
        /// Kinds of file that `view` opens.
        package var viewTypes = ViewType.allowedByDefault
        /// Whether its notifications are shown.
        package var notify = true
        /// Whether the user is told what has arrived from it.
        package var arrivals = true

        package init() {}
    }

    package init() {}

    /// The section of a gate, or what holds without one.
    package func host(_ gate: Gate) -> Host { hosts[gate.name] ?? Host() }

    /// Labels that have a section.
    package var labels: [HostLabel] { hosts.keys.compactMap { HostLabel($0) }.sorted() }

    /// Folders that hosts have of their own.
    package var directories: [String] { Set(hosts.values.compactMap { $0.directory }).sorted() }

    mutating func set(_ host: Host, for name: String) { hosts[name] = host }
}
