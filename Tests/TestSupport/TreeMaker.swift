// SPDX-License-Identifier: MIT

internal import Foundation

/// Makes folders and files to send: the same ones for the same seed.
package struct TreeMaker {
    /// The longest chunk, in bytes: files of this size and one more or less lie at the edges of what is packed together.
    package static let chunk = 4 << 20

    private var generator: SeededGenerator
    private let seed: UInt64

    /// Makes a maker; tell the seed when a test fails.
    package init(seed: UInt64) {
        self.seed = seed
        generator = SeededGenerator(seed: seed)
    }

    /// Writes one file, with folders above it as needed.
    package static func write(_ bytes: some Sequence<UInt8>, to path: String, mode: UInt16 = 0o644) throws {
        let parent = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        try check(chmod(path, mode_t(mode)), path)
    }

    /// Writes one file of text.
    package static func write(_ text: String, to path: String, mode: UInt16 = 0o644) throws {
        try write(text.utf8, to: path, mode: mode)
    }

    /// Makes a folder, with folders above it as needed.
    package static func folder(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// Writes a file of `size` bytes that is a hole but for a few bytes at each of the offsets.
    package static func writeSparse(to path: String, size: Int64, dataAt offsets: [Int64]) throws {
        try write([], to: path)
        guard let file = FileHandle(forWritingAtPath: path) else { throw TestSupportFailure("cannot open \(path)") }
        try file.truncate(atOffset: UInt64(size))
        for offset in offsets {
            try file.seek(toOffset: UInt64(offset))
            try file.write(contentsOf: Data("data at \(offset)".utf8))
        }
        try file.close()
    }

    /// Writes a file of `size` bytes, half of which a compressor can make smaller.
    package mutating func writeFile(_ path: String, size: Int) throws {
        let random = generator.bytes(size / 2)
        try Self.write(random + generator.text(size - size / 2), to: path)
    }

    /// Sets the modification time, in seconds and nanoseconds since 1970, of the entry itself.
    package static func setTime(_ path: String, seconds: Int, nanoseconds: Int) throws {
        let time = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        try check(utimensat(AT_FDCWD, path, [time, time], AT_SYMLINK_NOFOLLOW), path)
    }

    /// Makes a tree of everything that a send has to carry: sizes at every edge, names of every kind, links, holes, empty
    /// folders, modes, and times to the nanosecond.
    ///
    /// - Parameters:
    ///   - root: the folder to make.
    ///   - files: how many small files of random sizes are added to the fixed ones.
    /// - Throws: `TestSupportFailure` or a Foundation error when something cannot be made.
    package mutating func makeTree(at root: String, files: Int) throws {
        try Self.folder(root)
        let sizes = [0, 1, 4095, 4096, 65_537, Self.chunk - 1, Self.chunk, Self.chunk + 1]
        for size in sizes {
            try writeFile("\(root)/sizes/\(size) bytes.bin", size: size)
        }
        let names = [
            "with space", " leading", "trailing ", "quote'd", "double\"quoted", "dollar $HOME", "`tick`", "semi;colon",
            "star*", "-dash", "back\\slash", "naïve café", "日本語", "Ω≈ç", "emoji 🚀", ".hidden", "name (2)", "a:b",
            String(repeating: "x", count: 255),
        ]
        for name in names {
            try Self.write("\(name) of \(seed)\n", to: "\(root)/names/\(name)")
        }
        for number in 0..<files {
            let folder = "\(root)/many/\(generator.next() % 12)/\(generator.next() % 5)"
            try Self.folder(folder)
            try Self.write(generator.text(Int(generator.next() % 6000)), to: "\(folder)/\(number).txt")
        }
        try Self.folder("\(root)/empty/inner/innermost")
        try Self.writeSparse(to: "\(root)/sparse", size: 96 << 20, dataAt: [0, 40 << 20, 96 << 20 - 64])
        try Self.writeSparse(to: "\(root)/only a hole", size: 8 << 20, dataAt: [])
        try Self.write("#!/bin/sh\n", to: "\(root)/modes/run", mode: 0o755)
        try Self.write("mine\n", to: "\(root)/modes/private", mode: 0o600)
        try Self.write("shared\n", to: "\(root)/modes/group writable", mode: 0o664)
        try Self.write("fixed\n", to: "\(root)/modes/read only", mode: 0o444)
        try Self.folder("\(root)/links")
        try Self.check(symlink("../modes/run", "\(root)/links/to a file"), root)
        try Self.check(symlink("../many", "\(root)/links/to a folder"), root)
        try Self.check(symlink("nowhere", "\(root)/links/to nothing"), root)
        try Self.check(link("\(root)/modes/run", "\(root)/links/hard"), root)
        try setTimes(below: root)
    }

    /// Gives every entry a time of its own, the folders after what is in them.
    private mutating func setTimes(below root: String) throws {
        let entries = (FileManager.default.subpaths(atPath: root) ?? []).sorted()
        for entry in entries.reversed() + [""] {
            let seconds = 1_000_000_000 + Int(generator.next() % 700_000_000)
            try Self.setTime("\(root)/\(entry)", seconds: seconds, nanoseconds: Int(generator.next() % 1_000_000_000))
        }
    }

    /// The paths of everything below a folder.
    package static func everything(below folder: String) -> [String] {
        (FileManager.default.subpaths(atPath: folder) ?? []).map { "\(folder)/\($0)" }
    }

    private static func check(_ result: Int32, _ path: String) throws {
        guard result == 0 else { throw TestSupportFailure("\(path): \(String(cString: strerror(errno)))") }
    }
}
