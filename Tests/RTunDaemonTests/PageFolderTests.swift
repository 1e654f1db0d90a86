// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import TestSupport
import Testing

@testable import RTunDaemon

/// A page is opened with what stands beside it, or not at all.
struct PageFolderTests: ~Copyable {
    private let scratch = ScratchFolder("page")
    private static let html = "<!DOCTYPE html><p>x</p>\n"

    /// Judges a folder `report` with the page and these files beside it.
    private func verdict(
        page: String = "report.html",
        _ files: [(path: String, text: String, mode: UInt16)] = [],
        allowed: Set<ViewType> = [.html],
        extra: EntryRecord.Content? = nil
    ) throws -> ViewVerdict {
        var index = ArchiveIndex()
        _ = try index.apply(.header(.standard))
        var number: UInt32 = 0
        var folders: [String: UInt32] = [:]
        func add(_ name: String, in parent: UInt32?, _ content: EntryRecord.Content) throws {
            let record = EntryRecord(
                number: number,
                parent: parent,
                name: try EntryName(validating: name.utf8),
                mode: 0o644,
                modified: Timestamp(seconds: 0, nanoseconds: 0),
                content: content
            )
            _ = try index.apply(.entry(record))
            number += 1
        }
        try add("report", in: nil, .folder)
        for file in [(path: page, text: Self.html, mode: 0o644)] + files {
            try TreeMaker.write(file.text, to: "\(scratch.path)/report/\(file.path)", mode: file.mode)
            let parts = file.path.split(separator: "/").map(String.init)
            var parent: UInt32 = 0
            for depth in parts.indices.dropLast() {
                let path = parts[...depth].joined(separator: "/")
                if folders[path] == nil {
                    folders[path] = number
                    try add(parts[depth], in: parent, .folder)
                }
                parent = folders[path] ?? 0
            }
            try add(parts[parts.count - 1], in: parent, .file(size: Int64(file.text.utf8.count)))
        }
        if let extra { try add("zz", in: 0, extra) }
        let judge = PageFolder(index: index, top: 0, page: try EntryName(validating: page.utf8), allowed: allowed)
        return try judge.verdict(staged: try Directory.open(scratch.path), standing: nil)
    }

    @Test("A page with scripts, style sheets and pictures beside it is opened")
    func opened() throws {
        let files: [(String, String, UInt16)] = [
            ("report_files/x.js", "var a = 1", 0o644), ("report_files/css/s.css", "p {}", 0o644), ("a.PNG", "", 0o644),
        ]
        #expect(try verdict(files) == .open(.html))
        #expect(try verdict(page: "Été (2) a+b.htm", files) == .open(.html))
    }

    @Test(
        "One file that could run, or is of another kind, keeps all of it from being opened",
        arguments: [
            ("run.sh", "echo", 0o644), ("x/start.desktop", "[Desktop Entry]", 0o644), ("noending", "", 0o644),
            ("a.js", "alert(1)", 0o755), ("a.png", "#!/bin/sh\n", 0o644), ("x/y/a.css", "\u{7F}ELF", 0o644),
            (".hidden", "", 0o644), ("a.exe", "", 0o644), ("a.jar", "", 0o644),
        ] as [(String, String, UInt16)]
    )
    func refused(_ path: String, _ text: String, _ mode: UInt16) throws {
        let name = String(path.split(separator: "/").last ?? "")
        #expect(try verdict([(path, text, mode)]) == .saveOnly(reason: .beside(name)))
    }

    @Test("A symlink or a hard link keeps all of it from being opened")
    func links() throws {
        #expect(try verdict(extra: .symlink(target: "report.html")) == .saveOnly(reason: .beside("zz")))
        #expect(try verdict(extra: .hardLink(to: 1)) == .saveOnly(reason: .beside("zz")))
    }

    @Test("A page is opened only where html is allowed, and by name and content a page")
    func page() throws {
        #expect(try verdict(allowed: ViewType.allowedByDefault) == .saveOnly(reason: .notAllowed(.html)))
        #expect(try verdict(page: "report.txt", allowed: [.html, .txt]) != .open(.txt))
        for name in ["-report.html", "a'b.html", "a$(b).html", "a;b.html", "a%20b.html", ".a.html"] {
            #expect(try verdict(page: name) == .saveOnly(reason: .pageName), "\(name)")
        }
    }

    @Test("More than a thousand files, or 200 MiB, are not opened")
    func limits() throws {
        let many = (0..<PageFolder.entryLimit).map { (path: "\($0).css", text: "", mode: UInt16(0o644)) }
        #expect(try verdict(Array(many.dropLast(2))) == .open(.html))
        #expect(try verdict(many) == .saveOnly(reason: .tooMuchBeside))
        #expect(try verdict(extra: .file(size: ViewType.sizeLimit)) == .saveOnly(reason: .tooMuchBeside))
    }
}
