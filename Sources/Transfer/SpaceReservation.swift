// SPDX-License-Identifier: MIT

/// The space that one transfer has been given, asked by its receiver before frames may be written.
package protocol SpaceReservation: Sendable {
    /// Sets aside so many bytes more; throws what the sender is told where they are not to be had.
    func reserve(_ bytes: UInt64) throws(Abort)

    /// Notes that so many of the reserved bytes are on the disk now.
    func noteWritten(_ bytes: UInt64)
}
