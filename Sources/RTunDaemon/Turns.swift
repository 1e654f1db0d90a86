// SPDX-License-Identifier: MIT

/// Lets one at a time go on for each key, in the order of asking.
///
/// Publications of one source take turns: the second finds the receipts of the first.
package actor Turns {
    private var waiting: [String: [CheckedContinuation<Void, Never>]] = [:]

    package init() {}

    /// Waits for the turn; whoever has it gives it back with `leave`.
    func take(_ key: String) async {
        guard waiting[key] != nil else {
            waiting[key] = []
            return
        }
        await withCheckedContinuation { waiting[key]?.append($0) }
    }

    func leave(_ key: String) {
        guard var others = waiting[key], !others.isEmpty else {
            waiting[key] = nil
            return
        }
        let next = others.removeFirst()
        waiting[key] = others
        next.resume()
    }
}
