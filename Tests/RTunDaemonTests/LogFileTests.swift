// SPDX-License-Identifier: MIT
import Descriptors
import Foundation
import Logging
import RTunDaemon
import Synchronization
import Testing

struct LogFileTests: ~Copyable {
    private let folder: URL
    private let directory: Directory

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("log-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        directory = try Directory.open(folder.path)
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    private static let noon = Timestamp(seconds: 1_795_348_801, nanoseconds: 123_999_999)

    private func log(sizeLimit: Int64 = LogFile.sizeLimit, clock: TestClock = TestClock()) throws -> LogFile {
        try LogFile(
            in: directory,
            sizeLimit: sizeLimit,
            wallClock: { Self.noon },
            monotonicClock: { clock.now }
        )
    }

    private func logger(_ file: LogFile) -> Logger { Logger(label: "rtun.daemon") { file.handler(label: $0) } }

    private func text(_ name: String = "rtun.log") throws -> String {
        String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self)
    }

    private func lines(_ name: String = "rtun.log") throws -> [Substring] { try text(name).split(separator: "\n") }

    private func names() throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
    }

    @Test("a line has time, level, label, metadata and message, and the file is the user's alone")
    func writesLine() throws {
        var logger = logger(try log())
        logger[metadataKey: "label"] = "gpu01"
        logger.warning("listening", metadata: ["b": "two words", "a": "x=\"y\"", "c": ""])
        #expect(
            try text()
                == #"2026-11-22T12:00:01.123Z warning rtun.daemon a="x=\"y\"" b="two words" c="" label=gpu01: listening"#
                + "\n"
        )
        #expect(try directory.status("rtun.log").mode == 0o600)
    }

    @Test(
        "the calendar is right",
        arguments: [
            (0, "1970-01-01T00:00:00"), (951_782_399, "2000-02-28T23:59:59"), (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"), (1_709_251_199, "2024-02-29T23:59:59"), (-1, "1969-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"), (1_767_225_599, "2025-12-31T23:59:59"),
            (-62_135_596_800, "0001-01-01T00:00:00"),
        ]
    )
    func calendar(_ seconds: Int64, _ shown: String) throws {
        let file = try LogFile(in: directory, wallClock: { Timestamp(seconds: seconds, nanoseconds: 7_000_000) })
        logger(file).info("x")
        #expect(try text().hasPrefix(shown + ".007Z "))
    }

    @Test("nothing that a peer says begins a line or steers a terminal")
    func escapes() throws {
        let logger = logger(try log())
        logger.info("a\n2026-01-01T00:00:00.000Z info x: forged\u{1b}[2J", metadata: ["na\nme": "v\u{202e}\r\n"])
        #expect(try lines().count == 1)
        #expect(try text().unicodeScalars.dropLast().allSatisfy { $0.value >= 0x20 && $0 != "\u{202e}" })
    }

    @Test("an endless message is cut")
    func cutsMessages() throws {
        let logger = logger(try log())
        logger.info(
            "\(String(repeating: "\u{1}", count: 100_000))",
            metadata: ["k": "\(String(repeating: "y", count: 9999))"]
        )
        #expect(try text().utf8.count < 5000)
    }

    @Test("a flood leaves five files of at most the limit, the newest lines in the first")
    func rotates() throws {
        let logger = logger(try log(sizeLimit: 1000))
        for number in 0..<200 { logger.info("line \(number)") }
        #expect(try names() == ["rtun.log", "rtun.log.1", "rtun.log.2", "rtun.log.3", "rtun.log.4"])
        var numbers: [Int] = []
        for name in ["rtun.log.4", "rtun.log.3", "rtun.log.2", "rtun.log.1", "rtun.log"] {
            #expect(try directory.status(name).size <= 1000)
            #expect(try directory.status(name).mode == 0o600)
            numbers += try lines(name).compactMap { Int($0.split(separator: " ").last ?? "") }
        }
        #expect(numbers == Array((200 - numbers.count)..<200))
        #expect(numbers.count > 60)
    }

    @Test("lines that peers cause are limited, counted, and cost the daemon's own lines nothing")
    func limitsPeers() throws {
        let clock = TestClock()
        let logger = logger(try log(clock: clock))
        for _ in 0..<10_000 { logger.info("bad frame", metadata: [LogFile.peerKey: "gpu01"]) }
        #expect(try lines().count == 30)
        logger.info("own")
        #expect(
            try lines().suffix(2).map { $0.dropFirst(25) } == [
                "notice rtun.log: 9970 lines suppressed that peers caused", "info rtun.daemon: own",
            ]
        )
        clock.advance(by: .seconds(5))
        for _ in 0..<10 { logger.info("bad frame", metadata: [LogFile.peerKey: "gpu01"]) }
        #expect(try lines().count == 34)
        clock.advance(by: .seconds(1))
        logger.info("bad frame", metadata: [LogFile.peerKey: "gpu01"])
        #expect(try lines().suffix(2).first?.hasSuffix(" 8 lines suppressed that peers caused") == true)
        clock.advance(by: .seconds(1_000_000))
        for _ in 0..<100 { logger.info("bad frame", metadata: [LogFile.peerKey: "gpu01"]) }
        #expect(try lines().count == 36 + 30)
    }

    @Test("lines that cannot be written are counted and told when writing works again")
    func survivesFailures() throws {
        let file = try log(sizeLimit: 200)
        let logger = logger(file)
        logger.info("\(String(repeating: "x", count: 150))")
        // A folder under the name that rotation needs makes it fail.
        try directory.makeDirectory("rtun.log.4")
        try Data().write(to: folder.appendingPathComponent("rtun.log.3"))
        for _ in 0..<3 { logger.info("lost") }
        #expect(try lines().count == 1)
        try FileManager.default.removeItem(at: folder.appendingPathComponent("rtun.log.4"))
        logger.info("back")
        #expect(
            try lines().map { $0.dropFirst(25) } == [
                "warning rtun.log: 3 lines lost that could not be written", "info rtun.daemon: back",
            ]
        )
    }

    @Test(
        "a full device costs lines, not the daemon",
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"))
    )
    func survivesFullDevice() throws {
        let file = try LogFile(in: try Directory.open("/dev"), name: "full", sizeLimit: 10)
        let logger = logger(file)
        for _ in 0..<100 { logger.info("lost") }
        #expect(FileManager.default.fileExists(atPath: "/dev/full"))
    }

    @Test("reopening follows an outside rotation, and so does deletion")
    func reopens() throws {
        let file = try log()
        let logger = logger(file)
        logger.info("one")
        try directory.rename("rtun.log", to: "saved", in: directory)
        logger.info("two")
        file.reopen()
        logger.info("three")
        #expect(try lines("saved").count == 2)
        #expect(try lines().count == 1)
        try FileManager.default.removeItem(at: folder.appendingPathComponent("rtun.log"))
        logger.info("four")
        #expect(try text().hasSuffix("four\n"))
    }

    @Test("an existing log is continued and made private")
    func continuesFile() throws {
        try Data("old\n".utf8).write(to: folder.appendingPathComponent("rtun.log"))
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644],
            ofItemAtPath: folder.appendingPathComponent("rtun.log").path
        )
        logger(try log()).info("new")
        #expect(try lines().count == 2)
        #expect(try directory.status("rtun.log").mode == 0o600)
    }

    @Test("a symbolic link is not followed")
    func refusesLink() throws {
        try directory.makeSymlink("rtun.log", target: "elsewhere")
        #expect(throws: SystemError.self) { try LogFile(in: directory) }
        #expect(try names() == ["rtun.log"])
    }

    @Test("level and metadata belong to each logger alone")
    func valueSemantics() throws {
        var first = logger(try log())
        first.logLevel = .debug
        first[metadataKey: "only-on"] = "first"
        var second = first
        second.logLevel = .error
        second[metadataKey: "only-on"] = "second"
        #expect(first.logLevel == .debug && second.logLevel == .error)
        #expect(first[metadataKey: "only-on"] == "first" && second[metadataKey: "only-on"] == "second")
        second.info("not written")
        first.debug("written")
        #expect(try lines().count == 1)
    }
}

/// A monotonic clock that stands still until it is told to go on.
private final class TestClock: Sendable {
    private let time = Mutex<Duration>(.zero)

    var now: Duration { time.withLock { $0 } }

    func advance(by duration: Duration) { time.withLock { $0 += duration } }
}
