// SPDX-License-Identifier: MIT

import Archive
import Codecs
import Descriptors
import Foundation
import TestSupport
import Testing

struct StagingTests {
    private let archive: StagedArchive

    init() throws {
        archive = try StagedArchive()
    }

    @Test func `the golden archive becomes the tree that it describes`() throws {
        let scratch = ScratchFolder("golden")
        let destination = try Directory.open(scratch.path)
        let staging = try Staging(in: destination, name: "golden")
        let manifest = try GoldenFile("archive/manifest.txt")
        let bytes = try manifest["manifest"]
        let found = try records(in: bytes)
        #expect(found.count == Int(try manifest["records"][0]))
        #expect(encoded(found) == bytes)
        var stated: [UInt8] = []
        stated.append(digest: digest(bytes))
        #expect(stated == (try manifest["digest"]))
        var index = ArchiveIndex()
        var steps: [StagingStep] = []
        for record in found {
            if let step = try index.apply(record) { steps.append(step) }
        }
        #expect(try staging.perform(steps).isEmpty)
        let frames = try GoldenFile("archive/frames.txt")
        var digester = Digester()
        let slab = try Slab(capacity: 100)
        // Frames come in any order.
        for name in ["zstd", "stored", "zlib"] {
            let frame = try frames[name]
            let header = try read(frame) { reader throws(FormatError) in try FrameHeader(from: &reader) }
            let targets = try index.claim(header.runs)
            let raw = try decodedPayload(of: frame, count: targets.reduce(0) { $0 + $1.length })
            var offset = 0
            for target in targets {
                let piece = Array(raw[offset..<(offset + target.length)])
                offset += target.length
                let refusal = try piece.withSpan { (span: RawSpan) throws(StagingError) in
                    try staging.write(target, bytes: span, digester: &digester, scratch: slab)
                }
                #expect(refusal == nil)
                index.complete(target)
            }
        }
        #expect(index.incompleteFiles == 0)
        #expect(try staging.finish(index).isEmpty)
        var publication = Publication(
            index,
            from: staging,
            to: destination,
            book: nil,
            names: NamePlan(inbox: destination, destination: [])
        )
        try publication.publish()
        #expect(publication.topLevelNames == ["results", "notes.txt"])
        try staging.remove()

        let root = scratch.path
        #expect(names(in: root) == ["notes.txt", "results"])
        #expect(names(in: "\(root)/results") == ["again", "empty", "link", "runs.bin", "sparse.bin"])
        #expect(contents("\(root)/results/runs.bin") == String(repeating: "r", count: 775))
        #expect(contents("\(root)/notes.txt") == String(repeating: "z", count: 1_000) + " world")
        let sparse = String(repeating: "\0", count: 1 << 20) + "middle" + String(repeating: "\0", count: 100)
        #expect(contents("\(root)/results/sparse.bin") == sparse)
        let holes = try #require(PlainStatus("\(root)/results/sparse.bin"))
        #expect(holes.allocated < 256 << 10)
        #expect(target(ofLink: "\(root)/results/link") == "runs.bin")
        let runs = try #require(PlainStatus("\(root)/results/runs.bin"))
        #expect(PlainStatus("\(root)/results/again")?.inode == runs.inode)
        #expect(runs.mode == 0o640)
        #expect(runs.modified == Timestamp(seconds: 1_600_000_000, nanoseconds: 123_456_789))
        #expect(PlainStatus("\(root)/results")?.mode == 0o755)
        #expect(PlainStatus("\(root)/results")?.modified == Timestamp(seconds: 1_700_000_000, nanoseconds: 5))
        #expect(PlainStatus("\(root)/results/empty")?.mode == 0o755)
        #expect(PlainStatus("\(root)/results/empty")?.modified == Timestamp(seconds: 0, nanoseconds: 0))
        #expect(PlainStatus("\(root)/notes.txt")?.mode == 0o644)
        #expect(
            PlainStatus("\(root)/results/link")?.modified == Timestamp(seconds: 1_600_000_003, nanoseconds: 0)
        )
    }

    // MARK: - Metadata

    @Test(
        arguments: [
            (0o7777, 0o755, 0o755), (0o0000, 0o600, 0o700), (0o4755, 0o755, 0o755), (0o666, 0o644, 0o744),
            (0o777, 0o755, 0o755), (0o022, 0o600, 0o700), (0o1444, 0o644, 0o744), (0o111, 0o711, 0o711),
        ] as [(UInt32, UInt32, UInt32)]
    )
    func `modes lose what gives others power and keep the owner's`(
        _ mode: UInt32,
        _ fileMode: UInt32,
        _ folderMode: UInt32
    ) throws {
        try archive.take([
            folder(0, "d", mode: mode), entry(1, in: 0, "empty", .file(size: 0), mode: mode),
            entry(2, in: 0, "whole", .file(size: 1), mode: mode), list(2, [chunk("x")]),
            entry(3, in: 0, "parts", .file(size: 2), mode: mode), list(3, [chunk("y"), chunk("z")]),
        ])
        try archive.write([0...2], [Array("x".utf8), Array("y".utf8), Array("z".utf8)])
        _ = try archive.publish()
        for name in ["empty", "whole", "parts"] {
            #expect(PlainStatus(archive.final("d/\(name)"))?.mode == mode_t(fileMode), "\(name)")
        }
        #expect(PlainStatus(archive.final("d"))?.mode == mode_t(folderMode))
    }

    @Test(
        arguments: [
            (.min, 0), (-1, 0), (0, 0), (1, 1), (1_000_000_000, 1_000_000_000), (.max, nil), (1 << 40, nil),
            (1 << 32, nil),
        ] as [(Int64, Int64?)]
    )
    func `times lie between 1970 and tomorrow`(_ seconds: Int64, _ expected: Int64?) throws {
        let time = Timestamp(seconds: seconds, nanoseconds: 0)
        try archive.take([
            entry(0, "d", .folder, mode: 0o755, modified: time),
            entry(1, in: 0, "f", .file(size: 0), modified: time),
            entry(2, in: 0, "l", .symlink(target: "f"), modified: time),
        ])
        _ = try archive.publish()
        let tomorrow = Timestamp.now().seconds + 86_400
        for path in ["d", "d/f", "d/l"] {
            let found = try #require(PlainStatus(archive.final(path))).modified.seconds
            if let expected {
                #expect(found == expected, "\(path)")
            } else {
                #expect((tomorrow - 120...tomorrow).contains(found), "\(path)")
            }
        }
    }

    @Test func `a hole takes no space`() throws {
        try archive.take([
            file(0, "sparse", 64 << 20), list(0, [.hole(length: 32 << 20), chunk("x"), .hole(length: 32 << 20 - 1)]),
            file(1, "stream", nil), list(1, [.hole(length: 16 << 20)], isLast: false),
            list(1, [chunk("y")], isLast: false),
            list(1, [.hole(length: 16 << 20)]),
        ])
        try archive.write([0...1], [Array("x".utf8), Array("y".utf8)])
        _ = try archive.publish()
        let sparse = try #require(PlainStatus(archive.final("sparse")))
        #expect(sparse.size == 64 << 20)
        #expect(sparse.allocated < 1 << 20)
        let stream = try #require(PlainStatus(archive.final("stream")))
        #expect(stream.size == 32 << 20 + 1)
        #expect(stream.allocated < 1 << 20)
    }

    // MARK: - Integrity

    @Test(arguments: [false, true]) func `bytes of another digest are refused and nothing is acknowledged`(
        _ isWhole: Bool
    ) throws {
        try archive.take([
            file(0, "f", nil), isWhole ? list(0, [chunk("right")]) : list(0, [.hole(length: 5), chunk("right")]),
        ])
        do {
            try archive.write(0, "wrong")
            Issue.record("taken")
        } catch StagingError.integrity(let path) {
            #expect(path == "f")
        }
        #expect(archive.index.incompleteFiles == 1)
        #expect(names(in: archive.scratch.path) == [".rtun-part"])
    }

    @Test func `a file that is shortened behind its write is noticed`() throws {
        // The bytes that count are those that the file system gives back.
        try archive.take([file(0, "f", nil), list(0, [chunk("a"), chunk("b")])])
        try archive.write(0, "a")
        #expect(symlink("/dev/null", archive.staged("g")) == 0)
        try FileManager.default.removeItem(atPath: archive.staged("f"))
        #expect(symlink("/dev/null", archive.staged("f")) == 0)
        #expect(throws: StagingError.self) { try archive.write(1, "b") }
    }

    // MARK: - Names

    @Test func `the first of two equal names stands`() throws {
        try archive.take([file(0, "x", 0), file(1, "y", 3), list(1, [chunk("one")])])
        try archive.write(0, "one")
        #expect(
            try archive.take([file(2, "x", 0), folder(3, "y"), folder(4, "x")]) == [
                "x: nameStands", "y: nameStands", "x: nameStands",
            ]
        )
        #expect(try archive.take([file(5, "y", 3), list(5, [chunk("two")])]) == ["y: nameStands"])
        #expect(try archive.write(1, "two").isEmpty)
        #expect(try archive.take([file(6, in: 3, "below", 0)]).isEmpty, "void: nobody asks for it")
        #expect(try archive.publish() == ["x", "y"])
        #expect(contents(archive.final("y")) == "one")
        #expect(contents(archive.final("x")) == "")
    }

    @Test func `what is below a refused folder is refused in the same batch too`() throws {
        let refused = try archive.take([
            file(0, "x", 0), folder(1, "x"), folder(2, in: 1, "inner"), file(3, in: 2, "f", 0), file(4, in: 1, "g", 1),
            list(4, [chunk("g")]), entry(5, in: 1, "s", .symlink(target: "g")), entry(6, in: 1, "h", .hardLink(to: 0)),
        ])
        #expect(refused == ["x: nameStands"], "the folder speaks for what is in it")
        #expect(try archive.write(0, "g").isEmpty)
        #expect(try archive.finish().isEmpty)
        #expect(names(in: archive.staged("")) == ["x"])
    }

    @Test func `the length of a refused file does not fall on the first of its name`() throws {
        try archive.take([file(0, "x", nil), list(0, [chunk("abcd"), chunk("efgh")])])
        try archive.write([0...1], [Array("abcd".utf8), Array("efgh".utf8)])
        // Announced, listed and ended within one batch: it is refused when all its steps are known already.
        let refused = try archive.take([file(1, "x", nil), list(1, [chunk("z")], isLast: false), list(1, [])])
        #expect(refused == ["x: nameStands"])
        #expect(contents(archive.staged("x")) == "abcdefgh")
    }

    @Test(
        arguments: [
            [file(1, "x", 0)], [file(1, "x", nil), list(1, [chunk("z")], isLast: false)],
            [file(1, "x", 2), list(1, [chunk("z"), chunk("y")])], [file(1, "x", nil)],
        ]
    )
    func `a refused file that is taken back in its batch leaves the first of its name`(_ second: [Record]) throws {
        try archive.take([file(0, "x", 4), list(0, [chunk("abcd")])])
        try archive.write(0, "abcd")
        try archive.take(second + [.retract(entry: 1, reason: .changed)])
        #expect(contents(archive.staged("x")) == "abcd")
    }

    @Test func `an empty file that was taken back leaves its name free`() throws {
        try archive.take([file(0, "x", 0)])
        try archive.take([.retract(entry: 0, reason: .changed)])
        #expect(PlainStatus(archive.staged("x")) == nil)
        #expect(try archive.take([folder(1, "x")]).isEmpty)
    }

    @Test func `a chunk of a refused file does not fall on the first of its name`() throws {
        try archive.take([file(0, "x", 4), list(0, [chunk("abcd")])])
        try archive.write(0, "abcd")
        #expect(try archive.take([file(1, "x", nil), list(1, [chunk("z"), chunk("y")])]) == ["x: nameStands"])
        try archive.write([1...2], [Array("z".utf8), Array("y".utf8)])
        #expect(contents(archive.staged("x")) == "abcd")
    }

    @Test func `a name that was taken back is free again`() throws {
        try archive.take([file(0, "x", 2), list(0, [chunk("a"), chunk("b")])])
        try archive.write(0, "a")
        try archive.take([.retract(entry: 0, reason: .changed)])
        #expect(PlainStatus(archive.staged("x")) == nil)
        #expect(try archive.take([file(1, "x", 3), list(1, [chunk("new")])]).isEmpty)
        try archive.write(1, "b")
        try archive.write(2, "new")
        #expect(try archive.publish() == ["x"])
        #expect(contents(archive.final("x")) == "new")
    }

    @Test func `names in two normalisations are two files where the file system says so`() throws {
        let refused = try archive.take([file(0, "\u{E9}", 0), file(1, "e\u{301}", 0)])
        #expect(names(in: archive.staged("")).count == 2 - refused.count)
    }

    @Test func `a name that the file system is not given as a path stays in the folder`() throws {
        let odd = ["-rf", "CON", "x:y", "~", "%2e%2e", "\\..\\x", "C:\\x", "...", ".ssh", " "]
        try archive.take(odd.enumerated().map { file(UInt32($0.offset), $0.element, 0) })
        #expect(Set(try archive.publish()) == Set(odd))
        #expect(Set(names(in: archive.scratch.path)) == Set(odd + [".rtun-part"]))
    }

    // MARK: - Links

    @Test func `symlinks come last and hard links are one file`() throws {
        try archive.take([
            folder(0, "d"), file(1, in: 0, "f", 1), list(1, [chunk("x")]),
            entry(2, in: 0, "s", .symlink(target: "f")), entry(3, in: 0, "h", .hardLink(to: 1)),
            entry(4, "top", .hardLink(to: 1)),
        ])
        #expect(names(in: archive.staged("d")).isEmpty)
        try archive.write(0, "x")
        #expect(names(in: archive.staged("d")) == ["f"])
        #expect(try archive.publish() == ["d", "top"])
        #expect(target(ofLink: archive.final("d/s")) == "f")
        #expect(PlainStatus(archive.final("top"))?.links == 3)
        #expect(PlainStatus(archive.final("top"))?.inode == PlainStatus(archive.final("d/h"))?.inode)
    }

    @Test func `a symlink does not take a name that stands`() throws {
        let refused = try archive.take([
            folder(0, "d"), entry(1, in: 0, "x", .symlink(target: "y")), file(2, in: 0, "f", 0),
            entry(3, in: 0, "f", .symlink(target: "x")), entry(4, in: 0, "d", .hardLink(to: 2)),
            entry(5, in: 0, "d", .symlink(target: "f")),
        ])
        #expect(refused == ["d/f: nameStands", "d/d: nameStands"])
        #expect(try archive.finish().isEmpty)
        #expect(PlainStatus(archive.staged("d/f"))?.kind == S_IFREG)
        #expect(target(ofLink: archive.staged("d/x")) == "y")
    }

    @Test func `a hard link to a refused file is refused`() throws {
        try archive.take([file(0, "a", 0), file(1, "a", 0), entry(2, "b", .hardLink(to: 1))])
        #expect(try archive.finish() == ["b: folderRefused"])
    }

    // MARK: - The folder itself

    @Test func `nothing is left behind`() throws {
        try archive.take([
            folder(0, "a", mode: 0), folder(1, in: 0, "b"), file(2, in: 1, "f", 1), list(2, [chunk("x")]),
        ])
        try archive.write(0, "x")
        _ = try archive.finish()
        try archive.staging.remove()
        #expect(names(in: archive.scratch.path).isEmpty)
    }

    @Test func `two transfers stage beside one another and the last one cleans up`() throws {
        let other = try Staging(in: archive.destination, name: "other")
        #expect(names(in: archive.final(".rtun-part")) == ["other", "transfer"])
        try other.remove()
        #expect(names(in: archive.final(".rtun-part")) == ["transfer"])
        try archive.staging.remove()
        #expect(names(in: archive.scratch.path).isEmpty)
    }

    @Test func `an expired folder goes when nobody has its lock, and not before`() throws {
        let archive = try StagedArchive()
        try archive.take([file(0, "f", 0)])
        // So that everything counts as old.
        Staging.removeAbandoned(in: archive.destination, olderThan: -60)
        #expect(PlainStatus(archive.staged("f")) != nil)
        archive.staging.letGo()
        Staging.removeAbandoned(in: archive.destination, olderThan: 60)
        #expect(PlainStatus(archive.staged("f")) != nil)
        Staging.removeAbandoned(in: archive.destination, olderThan: -60)
        #expect(names(in: archive.scratch.path).isEmpty)
    }

    @Test func `a transfer that stands already is not taken over`() {
        #expect(throws: StagingError.self) { _ = try Staging(in: archive.destination, name: "transfer") }
    }

    @Test func `the manifest is kept as it came`() throws {
        try archive.take([folder(0, "a")])
        let kept = FileManager.default.contents(atPath: archive.final(".rtun-part/transfer/manifest"))
        #expect(kept.map { [UInt8]($0) }?.suffix(encoded([folder(0, "a")]).count) == encoded([folder(0, "a")])[...])
        #expect(PlainStatus(archive.final(".rtun-part"))?.mode == 0o700)
    }

    @Test func `many folders are reached though few are held open`() throws {
        var records: [Record] = []
        for number in 0..<300 as Range<UInt32> { records.append(folder(number, "d\(number)")) }
        try archive.take(records)
        try archive.take((0..<300).map { file(300 + $0, in: $0, "f", 0) })
        try archive.take(
            (0..<300).reversed().enumerated().map { file(600 + UInt32($0.offset), in: $0.element, "g", 0) }
        )
        for number in 0..<300 { #expect(names(in: archive.staged("d\(number)")) == ["f", "g"]) }
    }
}
