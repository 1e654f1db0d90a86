// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
private import Synchronization
package import Transfer

/// Shares space among transfers: what records announce is set aside before it is written, so that transfers side by
/// side cannot use the same bytes twice (`docs/operations.md`, Space).
package final class SpaceLedger: Sendable {
    /// What a transfer may use where no setting says otherwise: half of what is free when it begins, at least this.
    package static let transferMinimum: UInt64 = 50 << 30
    /// What stays free where no setting says otherwise: a twentieth of the disk, at least this.
    package static let floorMinimum: UInt64 = 2 << 30

    /// A folder that may hold so much, and the setting that says so.
    package struct Quota: Sendable {
        package let setting: String
        package let folder: Directory
        package let limit: UInt64

        package init(setting: String, folder: Directory, limit: UInt64) {
            self.setting = setting
            self.folder = folder
            self.limit = limit
        }
    }

    /// Bytes of one transfer.
    fileprivate struct Account: Sendable {
        let fileSystem: UInt64
        let limit: UInt64
        let floor: UInt64?
        let folder: Directory
        let quotas: [Quota]
        let stagingName: String
        var reserved: UInt64 = 0
        var written: UInt64 = 0
    }

    private struct State {
        var accounts: [UInt64: Account] = [:]
        /// What the folders of quotas held when they were counted, and what transfers have left there since.
        var held: [String: UInt64] = [:]
        var nextAccount: UInt64 = 1
    }

    private let state = Mutex(State())

    package init() {}

    /// Opens the account of a transfer that begins now.
    ///
    /// A folder with a quota is counted, unless a transfer that runs had it counted. Staging folders whose names begin
    /// with `source` are left out, since the transfer goes on with them.
    package func open(
        in folder: Directory,
        stagingName: String,
        source: String?,
        limits: Settings.Limits,
        quotas: [Quota]
    ) throws(SystemError) -> Reservation {
        let space = try folder.space()
        let fileSystem = try folder.status().device
        let running = state.withLock { state in
            (names: Set(state.accounts.values.map { $0.stagingName }), settings: Set(state.held.keys))
        }
        var counted: [String: UInt64] = [:]
        for quota in quotas where !running.settings.contains(quota.setting) {
            counted[quota.setting] = try FolderUsage.bytes(of: quota.folder) { name in
                running.names.contains(name) || source.map { name.hasPrefix($0 + "-") } ?? false
            }
        }
        let account = Account(
            fileSystem: fileSystem,
            limit: limits.transfer ?? max(Self.transferMinimum, space.available / 2),
            floor: limits.floor,
            folder: folder,
            quotas: quotas,
            stagingName: stagingName
        )
        let number = state.withLock { state in
            for (setting, bytes) in counted where state.held[setting] == nil { state.held[setting] = bytes }
            defer { state.nextAccount += 1 }
            state.accounts[state.nextAccount] = account
            return state.nextAccount
        }
        return Reservation(ledger: self, account: number)
    }

    /// The same with what the settings say of a host, whose folder in the `whole` inbox is `inbox`.
    func open(
        in inbox: Inbox,
        of whole: Inbox,
        for gate: Gate,
        _ settings: Settings,
        stagingName: String,
        source: String?
    ) throws(SystemError) -> Reservation {
        var quotas: [Quota] = []
        if let limit = settings.limits.inbox {
            quotas.append(Quota(setting: "limits.inbox", folder: whole.directory, limit: limit))
        }
        if let limit = settings.host(gate).quota {
            quotas.append(Quota(setting: gate.setting("quota"), folder: inbox.directory, limit: limit))
        }
        return try open(
            in: inbox.directory,
            stagingName: stagingName,
            source: source,
            limits: settings.limits,
            quotas: quotas
        )
    }

    fileprivate func reserve(_ bytes: UInt64, for number: UInt64) throws(Abort) {
        // Outside of the lock: it may wait for a disk.
        guard let account = state.withLock({ $0.accounts[number] }) else { throw .stopping }
        let space: FileSystemSpace
        do throws(SystemError) { space = try account.folder.space() } catch { throw Abort(StagingError(error)) }
        let refusal: Abort? = state.withLock { state in
            guard let account = state.accounts[number] else { return .stopping }
            guard bytes <= account.limit - min(account.reserved, account.limit) else {
                return Abort(.quota, "the transfer is larger than the laptop allows", setting: "limits.transfer")
            }
            for quota in account.quotas {
                let reserved = state.accounts.values.reduce(0) { sum, other in
                    sum + (other.quotas.contains { $0.setting == quota.setting } ? other.reserved : 0)
                }
                let used = (state.held[quota.setting] ?? 0) + reserved
                guard used <= quota.limit, bytes <= quota.limit - used else {
                    return Abort(.quota, "the laptop has no more space for this host", setting: quota.setting)
                }
            }
            let awaited = state.accounts.values.reduce(0) { sum, other in
                sum + (other.fileSystem == account.fileSystem ? other.reserved - min(other.written, other.reserved) : 0)
            }
            let floor = account.floor ?? max(Self.floorMinimum, space.total / 20)
            let (needed, overflow) = awaited.addingReportingOverflow(bytes)
            let (sum, overflows) = needed.addingReportingOverflow(floor)
            guard bytes == 0 || (!overflow && !overflows && sum <= space.available) else {
                return Abort(.diskFull, "the laptop's disk is full")
            }
            state.accounts[number]?.reserved += bytes
            return nil
        }
        if let refusal { throw refusal }
    }

    fileprivate func noteWritten(_ bytes: UInt64, for number: UInt64) {
        state.withLock { $0.accounts[number]?.written += bytes }
    }

    /// `staysOnDisk`: what was written has been delivered, or waits to be gone on with.
    fileprivate func close(_ number: UInt64, staysOnDisk: Bool) {
        state.withLock { state in
            guard let account = state.accounts.removeValue(forKey: number) else { return }
            for quota in account.quotas {
                let isUsed = state.accounts.values.contains { $0.quotas.contains { $0.setting == quota.setting } }
                if !isUsed {
                    // Counted anew by the next transfer: the user may have removed files.
                    state.held[quota.setting] = nil
                } else if staysOnDisk {
                    state.held[quota.setting, default: 0] += account.written
                }
            }
        }
    }

    /// The space of one transfer, given back by `close`.
    package struct Reservation: SpaceReservation {
        fileprivate let ledger: SpaceLedger
        fileprivate let account: UInt64

        package func reserve(_ bytes: UInt64) throws(Abort) { try ledger.reserve(bytes, for: account) }

        package func noteWritten(_ bytes: UInt64) { ledger.noteWritten(bytes, for: account) }

        /// Ends the account, with whether what was written stays on the disk; a second call does nothing.
        package func close(staysOnDisk: Bool) { ledger.close(account, staysOnDisk: staysOnDisk) }
    }
}
