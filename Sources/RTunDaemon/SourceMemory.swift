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

    /// Name of the staging folder of one attempt at a request of this source.
    package func stagingName(_ attempt: String, for request: [UInt8]?) -> String { prefix(of: request) + attempt }

    /// Staging of earlier attempts at the same request, locked from now on; for the transfer that goes on with them.
    ///
    /// One that has nothing to give any more is removed.
    package func takeDonors(for request: [UInt8]?) -> [Donor] {
        Donor.all(in: inbox, prefix: prefix(of: request)).filter { donor in
            if donor.isUseful { return true }
            donor.remove()
            return false
        }
    }

    /// Drops what is staged for a request and held by no transfer.
    package func forget(_ request: [UInt8]) {
        for donor in takeDonors(for: request) { donor.remove() }
    }

    /// What a transfer that was published before was answered with; nil unless id and secret are its own.
    package func answer(to open: OpenRequest) throws -> Committed? {
        guard let finished = book.finished(open.transfer.rawValue),
            finished.secret == (try Digest(ofSecret: open.secret))
        else { return nil }
        return try Committed(kept: finished.answer)
    }

    /// How the names of the staging folders of one request begin.
    private func prefix(of request: [UInt8]?) -> String {
        "\(name)-\(request.map(Self.hex) ?? "any")-"
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
