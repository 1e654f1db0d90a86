// SPDX-License-Identifier: MIT

import Descriptors
import SystemPackage
import TestSupport
import Testing

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

@Suite("Listing")
struct ListingTests {
    private let scratch = ScratchFolder("listing")
    private let folder: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    @Test("An empty folder lists nothing")
    func empty() throws {
        #expect(try folder.names().isEmpty)
    }

    @Test("Every name appears once, hidden ones too, and again at a second listing")
    func all() throws {
        // More than one block of the kernel's listing.
        let expected = Set((0..<3000).map { "entry number \($0)" } + [".hidden", "...", "é", "new\nline"])
        for name in expected {
            _ = try folder.createFile(name)
        }
        for _ in 0..<2 {
            let names = try folder.names().map { String(decoding: $0, as: UTF8.self) }
            #expect(names.count == expected.count)
            #expect(Set(names) == expected)
        }
    }

    @Test("Kinds are told or left unknown, never wrong")
    func kinds() throws {
        _ = try folder.createFile("file")
        try folder.makeDirectory("folder")
        try folder.makeSymlink("link", target: "folder")
        #expect(mkfifo(scratch.path + "/fifo", 0o600) == 0)
        let expected: [String: FileKind] = ["file": .file, "folder": .directory, "link": .symlink, "fifo": .fifo]
        let entries = try folder.entries()
        #expect(entries.count == expected.count)
        for entry in entries {
            let kind = expected[String(decoding: entry.name, as: UTF8.self)]
            #expect(entry.kind == kind || entry.kind == .unknown)
        }
    }

    #if os(Linux)
    // APFS refuses such names.
    @Test("Names that are not UTF-8 are listed as their bytes and removed with their tree")
    func invalidNames() throws {
        let name: [UInt8] = [0x66, 0xFF, 0xC0, 0xAF, 0x80]
        try folder.makeDirectory("sub")
        let path = Array((scratch.path + "/sub/").utf8) + name
        #expect(path.map { CChar(bitPattern: $0) }.withTerminator { mkdir($0, 0o700) } == 0)
        let file = path + Array("/x".utf8) + [0xFE]
        #expect(file.map { CChar(bitPattern: $0) }.withTerminator { mkfifo($0, 0o600) } == 0)
        #expect(try folder.subdirectory("sub").names() == [name])
        try folder.removeTree("sub")
        #expect(try folder.names().isEmpty)
    }

    @Test("A link target that is not UTF-8 is an error, not a changed text")
    func invalidTarget() throws {
        let target: [CChar] = [CChar(bitPattern: 0xFF), CChar(bitPattern: 0xFE)]
        #expect(target.withTerminator { symlink($0, scratch.path + "/link") } == 0)
        #expect(failure { _ = try folder.readLink("link") } == .illegalByteSequence)
    }
    #endif
}

extension [CChar] {
    /// Lends the characters as a C string.
    func withTerminator<Value>(_ body: (UnsafePointer<CChar>) -> Value) -> Value {
        (self + [0]).withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
