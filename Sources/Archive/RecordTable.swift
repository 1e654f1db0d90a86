// SPDX-License-Identifier: MIT

import Codecs

/// Finds records in a file by a hash of what they are about: 16 bytes of memory a record, whatever its length.
///
/// The hash is a hint: whoever looks up reads the record and compares.
struct RecordTable: Sendable {
    private struct Slot {
        let key: UInt64
        let offset: Int64
    }

    private var slots: [Slot] = []
    /// Slots up to here are in order.
    private var settled = 0
    /// Keys that differ, among the settled ones.
    private(set) var distinctCount = 0

    /// Records, the superseded ones included.
    var count: Int { slots.count }

    /// Notes a record; it is found after `settle()`.
    mutating func add(_ key: UInt64, at offset: Int64) {
        slots.append(Slot(key: key, offset: offset))
    }

    /// Notes what another table has.
    mutating func add(_ other: RecordTable) {
        slots.append(contentsOf: other.slots)
    }

    /// Puts what was added in its place.
    mutating func settle() {
        guard settled < slots.count else { return }
        slots.sort { $0.key != $1.key ? $0.key < $1.key : $0.offset < $1.offset }
        settled = slots.count
        distinctCount = 0
        for position in slots.indices where position == 0 || slots[position - 1].key != slots[position].key {
            distinctCount += 1
        }
    }

    /// Offsets of the records with that key, the latest first.
    func offsets(of key: UInt64) -> some Collection<Int64> {
        let first = position { $0.key >= key }
        // Few have one key: the end is near.
        let end = slots[first..<settled].firstIndex { $0.key != key } ?? settled
        return slots[first..<end].reversed().lazy.map(\.offset)
    }

    /// Whether the record at `offset` is the latest with its key.
    func isLatest(_ key: UInt64, at offset: Int64) -> Bool {
        offsets(of: key).first == offset
    }

    /// The first settled slot from which on `isBehind` holds.
    private func position(_ isBehind: (Slot) -> Bool) -> Int {
        var low = 0
        var high = settled
        while low < high {
            let middle = (low + high) / 2
            if isBehind(slots[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The key of a path, taken of its bytes: names that differ in normalisation are different names.
    static func key(of path: String) -> UInt64 {
        var path = path
        return path.withUTF8 { bytes in
            var hasher = Hasher()
            unsafe hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
    }

    /// The key of a chunk: the first bytes of its digest.
    static func key(of digest: Digest) -> UInt64 { digest.prefix }
}
