// SPDX-License-Identifier: MIT

import Archive
import Testing

/// Records that are sound alone and lie about one another: the archive is refused at the first of them.
struct ArchiveLieTests {
    struct Lie: Sendable, CustomTestStringConvertible {
        let what: String
        /// The last one is the lie.
        let records: [Record]
        let sentence: String

        init(_ what: String, _ sentence: String, _ records: [Record]) {
            self.what = what
            self.sentence = sentence
            self.records = records
        }

        var testDescription: String { what }
    }

    private static let noList = "a chunk list for what has none"
    private static let noFolder = "the parent of an entry is not an earlier folder"
    private static let noFile = "a hard link to what is not an earlier file"
    private static let beyond = "chunks beyond the end of a file"
    private static let noRetract = "what is taken back is not a file that stands"
    private static let order = "entry numbers do not ascend"

    static let lies = [
        Lie("no header", "the archive does not begin with a header", [folder(0, "a")]),
        Lie("no header before a chunk list", noList, [list(0, [chunk(1)])]),
        Lie("a second header", "a second header", [header, header]),
        Lie("a second header later", "a second header", [header, folder(0, "a"), header]),
        Lie("a child before its parent", noFolder, [header, file(1, in: 2, "x", 0)]),
        Lie("an entry in itself", noFolder, [header, folder(1, in: 1, "x")]),
        Lie("a parent in a gap", noFolder, [header, folder(0, "a"), folder(5, "b"), file(6, in: 3, "x", 0)]),
        Lie("a parent that is a file", noFolder, [header, file(0, "a", 0), file(1, in: 0, "b", 0)]),
        Lie(
            "a parent that is a symlink",
            noFolder,
            [header, entry(0, "a", .symlink(target: "b")), file(1, in: 0, "b", 0)]
        ),
        Lie(
            "a parent that is a hard link",
            noFolder,
            [header, file(0, "a", 0), entry(1, "b", .hardLink(to: 0)), file(2, in: 1, "c", 0)]
        ),
        Lie("a number twice", order, [header, folder(0, "a"), folder(0, "b")]),
        Lie("a number that is less", order, [header, folder(9, "a"), folder(8, "b")]),
        Lie("chunks of no entry", noList, [header, list(0, [chunk(1)])]),
        Lie("chunks of an entry to come", noList, [header, folder(0, "a"), list(1, [chunk(1)])]),
        Lie("chunks of a folder", noList, [header, folder(0, "a"), list(0, [chunk(1)])]),
        Lie("chunks of a symlink", noList, [header, entry(0, "a", .symlink(target: "b")), list(0, [chunk(1)])]),
        Lie("chunks of an empty file", noList, [header, file(0, "a", 0), list(0, [chunk(1)])]),
        Lie("a list of an empty file", noList, [header, file(0, "a", 0), list(0, [])]),
        Lie("a list behind the last", noList, [header, file(0, "a", 1), list(0, [chunk(1)]), list(0, [])]),
        Lie("chunks behind the last", noList, [header, file(0, "a", nil), list(0, [chunk(1)]), list(0, [chunk(1)])]),
        Lie(
            "chunks of a file that was taken back",
            noList,
            [header, file(0, "a", 9), .retract(entry: 0, reason: .changed), list(0, [chunk(9)])]
        ),
        Lie("a list that is too long", beyond, [header, file(0, "a", 3), list(0, [chunk(4)])]),
        Lie("a hole that is too long", beyond, [header, file(0, "a", 3), list(0, [chunk(3), .hole(length: 1)])]),
        Lie(
            "a list that is too long in its second part",
            beyond,
            [header, file(0, "a", 5), list(0, [chunk(3)], isLast: false), list(0, [chunk(3)])]
        ),
        Lie(
            "holes whose sum does not fit 63 bits",
            beyond,
            [header, file(0, "a", nil), list(0, [.hole(length: .max), .hole(length: .max)])]
        ),
        Lie(
            "a chunk behind a hole of 2⁶³ − 1",
            beyond,
            [header, file(0, "a", nil), list(0, [.hole(length: .max)], isLast: false), list(0, [chunk(1)])]
        ),
        Lie(
            "a list that is too short",
            "a chunk list that is shorter than its file",
            [header, file(0, "a", 3), list(0, [chunk(2)])]
        ),
        Lie(
            "a list of nothing for a file of something",
            "a chunk list that is shorter than its file",
            [header, file(0, "a", 3), list(0, [])]
        ),
        Lie("a hard link to a folder", noFile, [header, folder(0, "a"), entry(1, "b", .hardLink(to: 0))]),
        Lie("a hard link to nothing", noFile, [header, entry(1, "b", .hardLink(to: 0))]),
        Lie("a hard link to itself", noFile, [header, entry(1, "b", .hardLink(to: 1))]),
        Lie(
            "a hard link to a symlink",
            noFile,
            [header, entry(0, "a", .symlink(target: "x")), entry(1, "b", .hardLink(to: 0))]
        ),
        Lie(
            "a hard link to a hard link",
            noFile,
            [header, file(0, "a", 0), entry(1, "b", .hardLink(to: 0)), entry(2, "c", .hardLink(to: 1))]
        ),
        Lie(
            "a hard link to what was taken back",
            noFile,
            [header, file(0, "a", 0), .retract(entry: 0, reason: .vanished), entry(1, "b", .hardLink(to: 0))]
        ),
        Lie("taking back nothing", noRetract, [header, .retract(entry: 0, reason: .changed)]),
        Lie("taking back a folder", noRetract, [header, folder(0, "a"), .retract(entry: 0, reason: .changed)]),
        Lie(
            "taking back twice",
            noRetract,
            [header, file(0, "a", 0), .retract(entry: 0, reason: .changed), .retract(entry: 0, reason: .changed)]
        ),
        Lie(
            "taking back what a hard link names",
            noRetract,
            [header, file(0, "a", 0), entry(1, "b", .hardLink(to: 0)), .retract(entry: 0, reason: .changed)]
        ),
    ]

    @Test(arguments: lies) func `an archive that lies is refused`(_ lie: Lie) throws {
        var index = ArchiveIndex()
        for record in lie.records.dropLast() { _ = try index.apply(record) }
        let last = try #require(lie.records.last)
        #expect(formatFailure { _ = try index.apply(last) } == lie.sentence)
    }

    @Test func `a chunk list before the header is refused as an archive without one`() {
        var index = ArchiveIndex()
        #expect(throws: FormatError.self) { try index.apply(.retract(entry: 0, reason: .changed)) }
    }

    @Test(
        arguments: [
            [0...0, 0...0], [0...1, 1...2], [3...3], [0...3], [.max ... .max], [0...2, 0...2],
        ] as [[ClosedRange<UInt64>]]
    )
    func `a frame that names a chunk twice, or one that is not listed, is refused`(
        _ runs: [ClosedRange<UInt64>]
    ) throws {
        var index = ArchiveIndex()
        _ = try index.apply(header)
        _ = try index.apply(file(0, "a", nil))
        _ = try index.apply(list(0, [chunk(1), chunk(2), chunk(3)]))
        #expect(throws: FormatError.self) { try index.claim(runs) }
    }

    @Test func `a chunk that came is refused a second time`() throws {
        var index = ArchiveIndex()
        _ = try index.apply(header)
        _ = try index.apply(file(0, "a", nil))
        _ = try index.apply(list(0, [chunk(1), chunk(2)]))
        _ = try index.claim([0...1])
        #expect(formatFailure { _ = try index.claim([1...1]) } == "a chunk comes twice")
        #expect(formatFailure { _ = try index.claim([0...0]) } == "a chunk comes twice")
    }

    @Test func `a frame holds at most 4 MiB`() throws {
        var index = ArchiveIndex()
        _ = try index.apply(header)
        _ = try index.apply(file(0, "a", nil))
        let whole = ChunksRecord.Item.chunk(length: 4 << 20, digest: digest([]))
        _ = try index.apply(
            list(0, [whole, whole, .chunk(length: 4 << 20 - 1, digest: digest([])), chunk(1), chunk(1)])
        )
        #expect(try index.claim([0...0]).count == 1)
        #expect(try index.claim([2...3]).count == 2)
        #expect(formatFailure { _ = try index.claim([1...1, 4...4]) } == "a frame is longer than 4 MiB")
    }

    @Test func `at most 262,144 chunks wait for their bytes`() throws {
        var index = ArchiveIndex()
        _ = try index.apply(header)
        _ = try index.apply(file(0, "a", nil))
        let items = [ChunksRecord.Item](repeating: chunk(1), count: 262_144)
        _ = try index.apply(list(0, items, isLast: false))
        var full = index
        #expect(
            formatFailure { _ = try full.apply(list(0, [chunk(1)], isLast: false)) } == "too many chunks are listed"
        )
        // What has arrived makes room.
        _ = try index.claim([0...0])
        _ = try index.apply(list(0, [chunk(1)], isLast: false))
    }
}
