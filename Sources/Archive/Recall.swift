// SPDX-License-Identifier: MIT

package import Codecs
package import Descriptors
private import SystemPackage

/// Answers what a sender offers from what the same source delivered before: keeps whole files, copies chunks.
///
/// Used by one transfer, one batch after the other. What it hands out was either read and its digest checked, or is a
/// file that nobody has touched since it was verified and delivered.
package struct Recall: Sendable {
    /// What became of one batch of offers.
    package struct Answer: Sendable {
        /// Ordinals that need not travel, ascending.
        package var had: [ClosedRange<UInt64>] = []
        /// Entries that are kept as they stand.
        package var kept: [Int] = []
        /// Bytes that need not travel.
        package var bytes: UInt64 = 0
        /// Chunks that stand in staging now, to be journalled with the next sync.
        package var staged: [ChunkTarget] = []
    }

    /// A file whose list agrees with its receipt so far: nothing is copied until it is known whether it is kept.
    private struct Agreement: Sendable {
        let path: String
        let receipt: Receipt
        var itemCount = 0
        var agrees = true
    }

    /// A file that was moved here from the staging of an earlier transfer.
    private struct Adopted: Sendable {
        let chunks: [Int64: Journal.Chunk]
        /// Nobody has touched it since its last journal record; else every chunk is hashed again when it is offered.
        let isUntouched: Bool
    }

    package let book: ReceiptSnapshot
    /// Staging of earlier transfers of this source that did not end.
    package let donors: [Donor]
    private var adopted: [Int: Adopted] = [:]
    package private(set) var names: NamePlan
    /// How the files stand that are kept.
    package private(set) var kept = KeptFiles()
    private var agreements: [Int: Agreement] = [:]
    /// Held folders of delivered files by path; let go when there are many.
    private var folders: [String: Directory] = [:]
    /// The one that was asked for last: neighbours share it.
    private var lastFolder: (path: String, folder: Directory)?

    package init(book: ReceiptBook, donors: [Donor], names: NamePlan) {
        self.book = book.snapshot
        self.donors = donors
        self.names = names
    }

    /// Answers every chunk of the offers, in order.
    ///
    /// `bench` buffers are lent for copying.
    package mutating func answer(
        _ offers: [Offer],
        staging: Staging,
        slab: Slab,
        scratch: Slab,
        digester: inout Digester
    ) throws(StagingError) -> Answer {
        var answer = Answer()
        // Files whose every chunk is known are taken over together.
        var whole: [Staging.Adoption] = []
        for offer in offers {
            let path = try finalPath(of: offer)
            var agreement = agreements[offer.entry]
            if agreement == nil, offer.offset == 0 { agreement = begin(path) }
            if var found = agreement {
                let end = found.itemCount + offer.items.count
                if found.agrees, end <= found.receipt.items.count,
                    found.receipt.items[found.itemCount..<end].elementsEqual(offer.items)
                {
                    found.itemCount = end
                    if !offer.isLast {
                        agreements[offer.entry] = found
                        answer.add(allOf: offer)
                        continue
                    }
                    if end == found.receipt.items.count, found.receipt.mode == offer.place.mode,
                        found.receipt.identity.modified == offer.place.modified.clamped
                    {
                        agreements[offer.entry] = nil
                        // A single chunk has nothing in staging before its frame comes.
                        if !offer.isSingleChunk { try staging.discard(offer.place) }
                        answer.add(allOf: offer)
                        answer.kept.append(offer.entry)
                        kept.note(offer.entry, found.receipt.identity)
                        continue
                    }
                    found.itemCount -= offer.items.count
                }
                if found.agrees {
                    try copyAgreed(found, offer, staging, slab, scratch, &digester)
                    found.agrees = false
                }
                agreement = found
            }
            agreements[offer.entry] = offer.isLast ? nil : agreement
            if offer.offset == 0 {
                if let adoption = try adoption(offer, staging) {
                    if adoption.isWhole(offer) {
                        whole.append(adoption)
                        answer.add(allOf: offer)
                        continue
                    }
                    try staging.adopt([adoption])
                    let found = adoption.found
                    adopted[offer.entry] = Adopted(chunks: found.journalled.chunks, isUntouched: found.isUntouched)
                } else {
                    adopted[offer.entry] = nil
                }
            }
            defer { if offer.isLast { adopted[offer.entry] = nil } }
            try findChunks(of: offer, to: staging, slab, scratch, &digester, &answer)
        }
        try staging.adopt(whole)
        return answer
    }

    /// Path below the inbox that an offered file will have.
    private mutating func finalPath(of offer: Offer) throws(StagingError) -> String {
        do throws(SystemError) {
            let name = try names.choose(
                offer.top,
                name: offer.topName.text,
                isFolder: offer.isTopFolder,
                book: book
            )
            let rest = offer.path.utf8.dropFirst(offer.topName.text.utf8.count)
            return names.prefix + name + String(decoding: rest, as: UTF8.self)
        } catch {
            throw StagingError(error)
        }
    }

    /// The agreement that a file begins with: its receipt, if it is still ours.
    private mutating func begin(_ path: String) -> Agreement? {
        guard let receipt = book[path], receipt.kind == .file, let status = status(path), receipt.isOf(status)
        else { return nil }
        return Agreement(path: path, receipt: receipt)
    }

    /// Copies what earlier records of this list were promised from the receipt.
    ///
    /// The sender was told that these chunks are here: if one is not what it was, the transfer has to begin anew.
    private mutating func copyAgreed(
        _ agreement: Agreement,
        _ offer: Offer,
        _ staging: Staging,
        _ slab: Slab,
        _ scratch: Slab,
        _ digester: inout Digester
    ) throws(StagingError) {
        var offset: Int64 = 0
        for item in agreement.receipt.items.prefix(agreement.itemCount) {
            if case .chunk(let length, let digest) = item {
                let place = ReceiptBook.Place(path: agreement.path, offset: offset, length: length)
                let role = ChunkTarget.Role.part(offset: offset)
                guard
                    try copy(
                        place,
                        to: ChunkTarget(
                            entry: offer.entry,
                            place: offer.place,
                            length: length,
                            digest: digest,
                            role: role
                        ),
                        staging,
                        slab,
                        scratch,
                        &digester
                    )
                else {
                    // Edited meanwhile, it is not ours at the next attempt; else it would be agreed with again.
                    let isOurs = status(agreement.path).map { agreement.receipt.isOf($0) } ?? false
                    throw isOurs ? .integrity(path: agreement.path) : .changedMeanwhile(path: agreement.path)
                }
            }
            offset += item.length
        }
    }

    /// The file of that path in a donor, if a chunk that is offered stands in it.
    private func adoption(_ offer: Offer, _ staging: Staging) throws(StagingError) -> Staging.Adoption? {
        for donor in donors {
            guard let found = donor.file(at: offer.path) else { continue }
            var offset: Int64 = 0
            var isUseful = false
            for item in offer.items {
                if case .chunk(let length, let digest) = item, let chunk = found.journalled.chunks[offset] {
                    isUseful = isUseful || (chunk == Journal.Chunk(length: length, digest: digest))
                }
                offset += item.length
            }
            // Of a list that goes on, what is to come may stand in it.
            guard isUseful || !offer.isLast, try staging.canHold(offer.place) else { continue }
            return Staging.Adoption(
                found: found,
                path: offer.path,
                place: offer.place,
                size: offer.size,
                replacesEmpty: !offer.isSingleChunk
            )
        }
        return nil
    }

    /// Answers chunk by chunk: from the adopted file in its place, else from what was delivered.
    private mutating func findChunks(
        of offer: Offer,
        to staging: Staging,
        _ slab: Slab,
        _ scratch: Slab,
        _ digester: inout Digester,
        _ answer: inout Answer
    ) throws(StagingError) {
        let file = adopted[offer.entry]
        var ordinal = offer.firstOrdinal
        var offset = offer.offset
        for item in offer.items {
            if case .chunk(let length, let digest) = item {
                let target = ChunkTarget(
                    entry: offer.entry,
                    place: offer.place,
                    length: length,
                    digest: digest,
                    role: offer.isSingleChunk && file == nil ? .wholeFile : .part(offset: offset)
                )
                var isHad = false
                if file?.chunks[offset] == Journal.Chunk(length: length, digest: digest) {
                    isHad = file?.isUntouched == true
                    if !isHad { isHad = try staging.digest(of: target, slab: slab, digester: &digester) == digest }
                } else {
                    if let place = book.place(of: digest), place.length == length {
                        isHad = try copy(place, to: target, staging, slab, scratch, &digester)
                    }
                    if !isHad { isHad = try copyStaged(target, staging, slab, scratch, &digester) }
                    if isHad { answer.staged.append(target) }
                }
                if isHad { answer.add(ordinal...ordinal, bytes: UInt64(length)) }
                ordinal += 1
            } else if file != nil {
                try staging.clear(offset..<(offset + item.length), of: offer.place)
            }
            offset += item.length
        }
    }

    /// Copies one chunk from a file that an earlier transfer has staged under another name; false where it must travel.
    private func copyStaged(
        _ target: ChunkTarget,
        _ staging: Staging,
        _ slab: Slab,
        _ scratch: Slab,
        _ digester: inout Digester
    ) throws(StagingError) -> Bool {
        let chunk = Journal.Chunk(length: target.length, digest: target.digest)
        for donor in donors where donor.read(chunk, into: slab, digester: &digester) {
            let refusal = try slab.withBytes(0..<target.length) { (bytes: RawSpan) throws(StagingError) in
                try staging.write(target, bytes: bytes, digester: &digester, scratch: scratch)
            }
            return refusal == nil
        }
        return false
    }

    /// Copies one chunk if its file is still ours and the bytes are what they were; false where it must travel.
    private mutating func copy(
        _ source: ReceiptBook.Place,
        to target: ChunkTarget,
        _ staging: Staging,
        _ slab: Slab,
        _ scratch: Slab,
        _ digester: inout Digester
    ) throws(StagingError) -> Bool {
        guard let receipt = book[source.path], let status = status(source.path), receipt.isOf(status),
            target.length <= slab.capacity, read(source, into: slab, &digester) == target.digest
        else { return false }
        let refusal = try slab.withBytes(0..<target.length) { (bytes: RawSpan) throws(StagingError) in
            try staging.write(target, bytes: bytes, digester: &digester, scratch: scratch)
        }
        return refusal == nil
    }

    /// Digest of the place's bytes, now in the slab; nil where they cannot be read.
    private mutating func read(_ place: ReceiptBook.Place, into slab: Slab, _ digester: inout Digester) -> Digest? {
        do {
            guard let (folder, name) = try folder(of: place.path) else { return nil }
            let file = try folder.openFile(name)
            let count = try slab.withMutableBytes(0..<place.length) {
                (span: inout MutableRawSpan) throws(SystemError) in
                try file.read(into: &span, at: place.offset)
            }
            guard count == place.length else { return nil }
            return try slab.withBytes(0..<count) { (bytes: RawSpan) throws(CodecError) in
                try digester.digest(bytes)
            }
        } catch {
            return nil
        }
    }

    private mutating func status(_ path: String) -> FileStatus? {
        do throws(SystemError) {
            guard let (folder, name) = try folder(of: path) else { return nil }
            return try folder.statusIfPresent(name)
        } catch {
            // Whatever stands there now, it is not what was delivered.
            return nil
        }
    }

    /// The folder that holds a delivered path, walked from the inbox without following links.
    private mutating func folder(of path: String) throws(SystemError) -> (Directory, String)? {
        // By bytes: looking for a character costs as much as the calls to the kernel.
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (names.inbox, path) }
        let name = String(path[path.utf8.index(after: slash)...])
        if let last = lastFolder, last.path.utf8.elementsEqual(path.utf8[..<slash]) { return (last.folder, name) }
        let parent = String(path[..<slash])
        if let held = folders[parent] {
            lastFolder = (parent, held)
            return (held, name)
        }
        guard let (holder, folderName) = try folder(of: parent),
            try holder.statusIfPresent(folderName)?.kind == .directory
        else { return nil }
        let folder = try holder.subdirectory(folderName)
        if folders.count >= 128 { folders = [:] }
        folders[parent] = folder
        lastFolder = (parent, folder)
        return (folder, name)
    }
}

extension Staging.Adoption {
    /// True where the file is the one chunk that is offered, and is believed to hold it.
    fileprivate func isWhole(_ offer: Offer) -> Bool {
        guard found.isUntouched, offer.isSingleChunk, case .chunk(let length, let digest) = offer.items.first,
            (size ?? found.status.size) == Int64(length)
        else { return false }
        return found.journalled.chunks[0] == Journal.Chunk(length: length, digest: digest)
    }
}

extension Recall.Answer {
    fileprivate mutating func add(_ range: ClosedRange<UInt64>, bytes count: UInt64) {
        bytes += count
        if let last = had.last, last.upperBound + 1 == range.lowerBound {
            had[had.count - 1] = last.lowerBound...range.upperBound
        } else {
            had.append(range)
        }
    }

    fileprivate mutating func add(allOf offer: Offer) {
        var chunks: UInt64 = 0
        var total: UInt64 = 0
        for case .chunk(let length, _) in offer.items {
            chunks += 1
            total += UInt64(length)
        }
        if chunks > 0 { add(offer.firstOrdinal...(offer.firstOrdinal + chunks - 1), bytes: total) }
    }
}
