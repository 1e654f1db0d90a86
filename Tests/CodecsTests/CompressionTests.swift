// SPDX-License-Identifier: MIT
import Codecs
import Testing

@Suite("A compression")
struct CompressionTests {
    @Test(
        "is read from its name",
        arguments: [
            ("none", Codec.stored, Int32(0)), ("zlib", .zlib, 6), ("zlib:1", .zlib, 1), ("zlib:9", .zlib, 9),
            ("zstd", .zstd, 3), ("zstd:19", .zstd, 19), ("zstd:22", .zstd, 22), ("zstd:-7", .zstd, -7),
            ("zstd:-1", .zstd, -1), ("zstd:0", .zstd, 3),
        ]
    )
    func isReadFromName(text: String, codec: Codec, level: Int32) throws {
        let compression = try #require(Compression(parsing: text))
        #expect(compression.codec == codec)
        #expect(compression.level == level)
        #expect(Compression(parsing: compression.description) == compression)
    }

    @Test(
        "is read from nothing else",
        arguments: [
            "", ":", "auto", "none:", "none:0", "stored", "None", "zlib:", "zlib:0", "zlib:10", "zlib:-1", "zlib: 1",
            "zstd:", "zstd:23", "zstd:-8", "zstd:+3", "zstd:3:3", "zstd:3 ", " zstd", "zstd:three", "zstd3", "gzip",
            "zstd:99999999999999999999",
        ]
    )
    func isReadFromNothingElse(text: String) {
        #expect(Compression(parsing: text) == nil)
    }

    @Test("describes itself as it is written on the command line")
    func describesItself() {
        #expect(Compression.stored.description == "none")
        #expect(Compression.zlib().description == "zlib:6")
        #expect(Compression.zstd(-5).description == "zstd:-5")
    }

    @Test("has the codec numbers of the wire")
    func hasWireNumbers() {
        #expect(Codec.allCases.map(\.rawValue) == [0, 1, 2])
        #expect(Codec(rawValue: 1) == .zlib)
        #expect(Codec(rawValue: 2) == .zstd)
        #expect(Codec(rawValue: 3) == nil)
    }

    @Test("of a level out of range is a programming error")
    func levelOutOfRange() async {
        await #expect(processExitsWith: .failure) { _ = Compression.zlib(0) }
        await #expect(processExitsWith: .failure) { _ = Compression.zstd(23) }
        await #expect(processExitsWith: .success) { _ = Compression.zstd(22) }
    }
}
