// SPDX-License-Identifier: MIT

internal import CDescriptors

/// What this kernel offers for a second wall, asked of it and not of the daemon.
package enum Landlock {
    /// Whether a daemon must have its wall here.
    package static var isThere: Bool { descriptors_wall_version() >= 2 }
}
