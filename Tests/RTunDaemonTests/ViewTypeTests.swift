// SPDX-License-Identifier: MIT
import RTunDaemon
import Testing

struct ViewTypeTests {
    /// Judges bytes in memory through a reader that hands out at most `step` bytes a call.
    private static func verdict(
        _ name: String,
        _ bytes: [UInt8],
        mode: UInt32 = 0o100600,
        size: Int64? = nil,
        step: Int = .max,
        allowed: Set<ViewType> = ViewType.allowedByDefault
    ) -> ViewVerdict {
        ViewType.verdict(name: name, size: size ?? Int64(bytes.count), mode: mode, allowed: allowed) { span, offset in
            let source = bytes.dropFirst(Int(offset)).prefix(min(step, span.byteCount))
            for (index, byte) in source.enumerated() {
                span.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
            return source.count
        }
    }

    private static func verdict(_ name: String, _ text: String) -> ViewVerdict { verdict(name, Array(text.utf8)) }

    static let png: [UInt8] = [
        0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1,
    ]
    static let bmp: [UInt8] =
        [0x42, 0x4D, 58, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0] + [UInt8](repeating: 0, count: 40)
    static let heic: [UInt8] = [0, 0, 0, 24] + Array("ftypmif1".utf8) + [0, 0, 0, 0] + Array("mif1heic".utf8)
    static let samples: [(String, [UInt8], ViewType)] = [
        ("a.png", png, .png),
        ("A.PNG", png, .png),
        ("plot.tar.png", png, .png),
        ("a.jpg", [0xFF, 0xD8, 0xFF, 0xE0, 0, 16], .jpeg),
        ("a.jpeg", [0xFF, 0xD8, 0xFF, 0xDB], .jpeg),
        ("a.gif", Array("GIF89a".utf8), .gif),
        ("a.gif", Array("GIF87a".utf8), .gif),
        ("a.webp", Array("RIFF".utf8) + [8, 0, 0, 0] + Array("WEBPVP8 ".utf8), .webp),
        ("a.tif", [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, 0, 0], .tiff),
        ("a.tiff", [0x4D, 0x4D, 0, 0x2A, 0, 0, 0, 8, 0, 0], .tiff),
        ("a.tiff", [0x49, 0x49, 0x2B, 0, 8, 0, 0, 0], .tiff),
        ("a.bmp", bmp, .bmp),
        ("a.heic", heic, .heic),
        ("a.heic", [0, 0, 0, 16] + Array("ftypheic".utf8) + [0, 0, 0, 0], .heic),
        ("a.pdf", Array("%PDF-1.7\n%\u{e2}".utf8), .pdf),
    ]

    @Test("an image or a document opens when name and content agree", arguments: samples)
    func opensBinaries(_ name: String, _ bytes: [UInt8], _ type: ViewType) {
        #expect(Self.verdict(name, bytes) == .open(type))
        #expect(Self.verdict(name, bytes, step: 1) == .open(type))
    }

    @Test("a header that is cut or begins one byte late is refused", arguments: samples)
    func refusesCutHeaders(_ name: String, _ bytes: [UInt8], _ type: ViewType) {
        let refused = ViewVerdict.saveOnly(reason: .contentDiffers(type))
        #expect(Self.verdict(name, [0x0A] + bytes) == refused)
        for length in 0..<min(bytes.count, 4) {
            #expect(Self.verdict(name, Array(bytes[..<length])) == refused)
        }
    }

    @Test("content of another kind is refused", arguments: samples)
    func refusesForeignContent(_ name: String, _ bytes: [UInt8], _ type: ViewType) {
        for (otherName, _, otherType) in Self.samples where otherType != type {
            #expect(Self.verdict(otherName, bytes) == .saveOnly(reason: .contentDiffers(otherType)))
        }
        for text in ["a.txt", "a.csv", "a.json", "a.md"] where type != .gif && type != .pdf {
            guard case .saveOnly(.contentDiffers) = Self.verdict(text, bytes) else {
                Issue.record("\(name) passed as \(text)")
                continue
            }
        }
    }

    @Test(
        "headers whose numbers cannot be true are refused",
        arguments: [
            ("a.png", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x74, 0x45, 0x58, 0x74], .png),
            ("a.webp", Array("RIFF".utf8) + [9, 0, 0, 0] + Array("WEBPVP8 ".utf8), .webp),
            ("a.webp", Array("RIFF".utf8) + [8, 0, 0, 0] + Array("WAVEfmt ".utf8), .webp),
            ("a.tif", [0x49, 0x49, 0x2A, 0, 7, 0, 0, 0, 0, 0], .tiff),
            ("a.tif", [0x4D, 0x4D, 0, 0x2A, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0], .tiff),
            ("a.bmp", Array("BM is not only the start of bitmaps, but of sentences".utf8), .bmp),
            ("a.heic", [0, 0, 0, 24] + Array("ftypmif1".utf8) + [0, 0, 0, 0] + Array("mif1avif".utf8), .heic),
            ("a.heic", [0xFF, 0xFF, 0xFF, 0xFC] + Array("ftypheic".utf8) + [0, 0, 0, 0], .heic),
            ("a.pdf", Array("%PDF-3.0".utf8), .pdf),
            ("a.jpg", [0xFF, 0xD8, 0xFF, 0x00], .jpeg),
        ] as [(String, [UInt8], ViewType)]
    )
    func refusesImpossibleHeaders(_ name: String, _ bytes: [UInt8], _ type: ViewType) {
        #expect(Self.verdict(name, bytes) == .saveOnly(reason: .contentDiffers(type)))
    }

    @Test(
        "text opens",
        arguments: [
            ("a.txt", "héllo 日本語 🙂\r\n\tx\n", .txt), ("a.txt", "", .txt), ("a.log", "12:00 ok", .log),
            ("a.csv", "\u{feff}a;b\n1;2\n", .csv), ("a.tsv", "a\tb", .tsv), ("a.json", " \n{\"a\": 1}", .json),
            ("a.json", "-1", .json), ("a.md", "# Title\n<b>x</b>", .md), ("a.md", "<!-- note -->", .md),
            ("a.txt", "a < b and <html> later", .txt), ("a.txt", "# comment\n#!/bin/sh", .txt),
        ] as [(String, String, ViewType)]
    )
    func opensText(_ name: String, _ text: String, _ type: ViewType) {
        #expect(Self.verdict(name, text) == .open(type))
        #expect(Self.verdict(name, Array(text.utf8), step: 1) == .open(type))
    }

    @Test(
        "text with controls or broken UTF-8 anywhere is refused",
        arguments: [
            [0x00], [0x1B], [0x7F], [0x0C], [0xC2, 0x85], [0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xE2, 0x82],
            [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0x80], [0xE0, 0x80, 0x80],
            [0xF0, 0x80, 0x80, 0x80],
        ] as [[UInt8]]
    )
    func refusesNonText(_ bad: [UInt8]) {
        let refused = ViewVerdict.saveOnly(reason: .contentDiffers(.txt))
        for before in [0, 1, 65535, 65536, 131_071] {
            #expect(Self.verdict("a.txt", [UInt8](repeating: 0x61, count: before) + bad) == refused)
            #expect(Self.verdict("a.txt", [UInt8](repeating: 0x61, count: before) + bad + [0x62]) == refused)
        }
    }

    @Test("a scalar may lie across two blocks")
    func joinsBlocks() {
        for before in 65533...65536 {
            let bytes = [UInt8](repeating: 0x61, count: before) + Array("🙂".utf8)
            #expect(Self.verdict("a.txt", bytes) == .open(.txt))
        }
    }

    @Test("a scalar that is cut off by the end of the file is refused")
    func refusesCutEnd() {
        #expect(Self.verdict("a.log", Array("x🙂".utf8).dropLast()) == .saveOnly(reason: .contentDiffers(.log)))
    }

    @Test("JSON must begin as JSON", arguments: ["", "a", "<a/>", "# x", "}"])
    func checksJSON(_ text: String) {
        #expect(Self.verdict("a.json", text) == .saveOnly(reason: .contentDiffers(.json)))
    }

    @Test(
        "text that begins as a web page or XML is refused",
        arguments: [
            "<html>", "<!DOCTYPE html>", "<svg xmlns=", "<?xml version", "<script>", "\u{feff}<HTML", "\n\t \r\n<Svg",
        ]
    )
    func refusesMarkup(_ text: String) {
        for (name, type) in [("a.txt", ViewType.txt), ("a.csv", .csv), ("a.md", .md), ("a.log", .log)] {
            #expect(Self.verdict(name, text) == .saveOnly(reason: .markup(type)))
        }
        #expect(Self.verdict("a.txt", String(repeating: " ", count: 70_000) + text) == .saveOnly(reason: .markup(.txt)))
    }

    @Test(
        "programs and scripts are refused under every name",
        arguments: [
            [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0], [0xCF, 0xFA, 0xED, 0xFE], [0xFE, 0xED, 0xFA, 0xCE],
            [0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 2], [0x4D, 0x5A, 0x90, 0], Array("#!/bin/sh\n".utf8),
            [0xEF, 0xBB, 0xBF] + Array("#!".utf8),
        ] as [[UInt8]]
    )
    func refusesPrograms(_ bytes: [UInt8]) {
        for name in ["a.txt", "a.csv", "a.png", "a.pdf", "a.zip", "a.html"] {
            #expect(Self.verdict(name, bytes, allowed: Set(ViewType.allCases)) == .saveOnly(reason: .program))
        }
    }

    @Test(
        "scripts, links and installers are never opened, whatever the config allows",
        arguments: [
            "desktop", "app", "command", "terminal", "webloc", "inetloc", "fileloc", "url", "jar", "AppImage", "sh",
            "exe",
        ]
    )
    func neverOpens(_ name: String) {
        #expect(
            Self.verdict("report.pdf.\(name)", Array("%PDF-1.4".utf8), allowed: Set(ViewType.allCases))
                == .saveOnly(reason: .neverOpened(name.lowercased()))
        )
    }

    @Test(
        "web pages, drawings, office files and archives open only where the config allows them",
        arguments: [
            ("a.html", Array("<!doctype html>".utf8), .html), ("a.htm", Array("<p>".utf8), .html),
            ("a.svg", Array("<svg>".utf8), .svg), ("a.docx", [0x50, 0x4B, 3, 4], .docx),
            ("a.zip", [0x50, 0x4B, 3, 4], .zip),
            ("a.tar.gz", [0x1F, 0x8B, 8], .gzip), ("a.tgz", [0x1F, 0x8B, 8], .gzip),
            ("a.tar", [UInt8](repeating: 0x61, count: 257) + Array("ustar".utf8), .tar),
        ] as [(String, [UInt8], ViewType)]
    )
    func asksConfig(_ name: String, _ bytes: [UInt8], _ type: ViewType) {
        #expect(Self.verdict(name, bytes) == .saveOnly(reason: .notAllowed(type)))
        #expect(Self.verdict(name, bytes, allowed: [type]) == .open(type))
        #expect(Self.verdict("a.png", Self.png, allowed: [type]) == .saveOnly(reason: .notAllowed(.png)))
    }

    @Test(
        "names without a known extension are refused",
        arguments: [
            ("README", .noExtension), (".png", .noExtension), ("a.", .noExtension), ("", .noExtension),
            ("a.png ", .unknownExtension("png ")), ("a.xyz", .unknownExtension("xyz")),
            ("a.gzip", .unknownExtension("gzip")),
        ] as [(String, ViewRefusal)]
    )
    func refusesNames(_ name: String, _ reason: ViewRefusal) {
        #expect(Self.verdict(name, Self.png) == .saveOnly(reason: reason))
    }

    @Test(
        "executable files and what is no regular file are refused",
        arguments: [
            (0o100755, .executable), (0o100601, .executable), (0o700, .executable), (0o040600, .notRegular),
            (0o010600, .notRegular), (0o120600, .notRegular),
        ] as [(UInt32, ViewRefusal)]
    )
    func refusesModes(_ mode: UInt32, _ reason: ViewRefusal) {
        #expect(Self.verdict("a.png", Self.png, mode: mode) == .saveOnly(reason: reason))
    }

    @Test("200 MiB may be opened, one byte more may not")
    func limitsSize() {
        let limit: Int64 = 200 << 20
        #expect(Self.verdict("a.png", Self.png + [UInt8](repeating: 0, count: 1 << 16), size: limit) == .open(.png))
        #expect(Self.verdict("a.png", Self.png, size: limit + 1) == .saveOnly(reason: .tooLarge(limit + 1)))
    }

    @Test("a file that became shorter is refused")
    func noticesTruncation() {
        #expect(Self.verdict("a.txt", Array("abc".utf8), size: 4) == .saveOnly(reason: .truncated))
    }

    @Test("an error of the reader is handed on")
    func forwardsErrors() {
        struct Broken: Error, Equatable {}
        #expect(throws: Broken()) {
            try ViewType.verdict(name: "a.txt", size: 1, mode: 0) { (_, _) throws(Broken) in throw Broken() }
        }
    }

    @Test("a refusal never prints the peer's extension raw")
    func printsSafely() {
        guard case .saveOnly(let reason) = Self.verdict("a.\u{1b}[2J\u{202e}", []) else { return }
        #expect(reason.description == #"files of type .\x1b[2j\u{202e} are not opened"#)
    }
}
