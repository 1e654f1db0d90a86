// SPDX-License-Identifier: MIT

package import Archive
package import Descriptors

/// What the laptop knows of one source when a dialogue begins: what it delivered, and that it left something unfinished.
package struct SourceMemory: Sendable {
    /// The name under which the source is filed.
    package let name: String
    package let book: ReceiptBook
    private let inbox: Directory
    private let hasUnfinished: Bool

    package init(in inbox: Directory, label: String, sourceKey: [UInt8]) throws {
        self.inbox = inbox
        name = try ReceiptBook.sourceName(label: label, sourceKey: sourceKey)
        book = try ReceiptBook(in: inbox, sourceName: name)
        hasUnfinished = Donor.exists(in: inbox, prefix: name + "-")
    }

    package var isEmpty: Bool { book.isEmpty && !hasUnfinished }

    /// Name of the staging folder of a transfer of this source, which nothing has yet.
    package func stagingName(_ transfer: String) -> String {
        let plain = name + "-" + transfer
        guard Donor.exists(in: inbox, prefix: plain) else { return plain }
        // A transfer that an earlier daemon has left: it is a donor now.
        return plain + "-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// Staging of earlier sends that did not end, locked from now on; for the transfer that goes on with them.
    package func takeDonors() -> [Donor] { Donor.all(in: inbox, prefix: name + "-") }
}
