// SPDX-License-Identifier: MIT

package import Archive
private import Codecs
package import Descriptors
package import Transfer

/// What the laptop knows of one source when a dialogue begins: what it delivered, and that it left something unfinished.
package struct SourceMemory: Sendable {
    /// The name under which the source is filed.
    package let name: String
    /// To be loaded before it is asked.
    package let book: ReceiptBook
    private let inbox: Directory

    package init(in inbox: Directory, label: String, sourceKey: [UInt8], shelf: ReceiptShelf) throws {
        self.inbox = inbox
        name = try ReceiptBook.sourceName(label: label, sourceKey: sourceKey)
        book = try shelf.book(of: name, in: inbox)
    }

    /// Whether anything may be known; answered without reading the receipts.
    package var isEmpty: Bool { !book.hasRecords && !Donor.exists(in: inbox, prefix: stagingPrefix) }

    /// What names of staging folders of this source begin with.
    package var stagingPrefix: String { name + "-" }

    /// Name of the staging folder of a transfer of this source, which nothing has yet.
    package func stagingName(_ transfer: String) -> String {
        let plain = stagingPrefix + transfer
        guard Donor.exists(in: inbox, prefix: plain) else { return plain }
        // A transfer that an earlier daemon has left: it is a donor now.
        return plain + "-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// Staging of earlier sends that did not end, locked from now on; for the transfer that goes on with them.
    package func takeDonors() -> [Donor] { Donor.all(in: inbox, prefix: stagingPrefix) }

    /// What a transfer that was published before was answered with; nil unless id and secret are its own.
    package func answer(to open: OpenRequest) throws -> Committed? {
        guard let finished = book.finished(open.transfer.rawValue),
            finished.secret == (try Digest(ofSecret: open.secret))
        else { return nil }
        return try Committed(kept: finished.answer)
    }
}
