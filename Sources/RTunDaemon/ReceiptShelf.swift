// SPDX-License-Identifier: MIT

package import Archive
package import Descriptors
private import Synchronization

/// The receipt books in use: all transfers of one source share one.
package final class ReceiptShelf: Sendable {
    private struct Held {
        weak var book: ReceiptBook?
    }

    private let books = Mutex<[String: Held]>([:])

    package init() {}

    package func book(of source: String, in inbox: Directory) throws(StagingError) -> ReceiptBook {
        try books.withLock { (books: inout [String: Held]) throws(StagingError) in
            books = books.filter { $0.value.book != nil }
            let held = books[source]?.book
            let book = if let held { held } else { try ReceiptBook(in: inbox, sourceName: source) }
            books[source] = Held(book: book)
            return book
        }
    }
}
