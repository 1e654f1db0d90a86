// SPDX-License-Identifier: MIT

package import Archive
package import Descriptors
private import Synchronization

/// The receipt books in use: transfers of one source share one, and the last one is held for the next.
package final class ReceiptShelf: Sendable {
    private struct Held {
        weak var book: ReceiptBook?
    }

    private struct State {
        var books: [String: Held] = [:]
        var last: ReceiptBook?
    }

    private let state = Mutex(State())

    package init() {}

    package func book(of source: String, in inbox: Directory) throws(StagingError) -> ReceiptBook {
        try state.withLock { (state: inout State) throws(StagingError) in
            state.books = state.books.filter { $0.value.book != nil }
            let held = state.books[source]?.book
            let book = if let held { held } else { try ReceiptBook(in: inbox, sourceName: source) }
            state.books[source] = Held(book: book)
            state.last = book
            return book
        }
    }
}
