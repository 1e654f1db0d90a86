// SPDX-License-Identifier: MIT

import Descriptors
import SystemPackage
import TestSupport
import Testing

@Suite("Renaming and linking")
struct RenamingTests {
    /// The atomic call of the system, and the way around it for old kernels and file systems.
    enum Way: CaseIterable {
        case atomic
        case linking

        func rename(_ name: String, of folder: Directory, to newName: String, in target: Directory) throws(SystemError)
        {
            switch self {
            case .atomic: try folder.renameWithoutReplacing(name, to: newName, in: target)
            case .linking: try folder.renameByLinking(name, to: newName, in: target)
            }
        }
    }

    private let scratch = ScratchFolder("renaming")
    private let folder: Directory
    private let target: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
        target = try folder.openOrMakeDirectory("target")
    }

    @Test("A plain rename replaces")
    func replaces() throws {
        try folder.createFile("new").write("new", at: 0)
        try target.createFile("name").write("old", at: 0)
        try folder.rename("new", to: "name", in: target)
        #expect(try target.openFile("name").text() == "new")
        #expect(try folder.statusIfPresent("new") == nil)
    }

    @Test("Renaming without replacing refuses an existing name of any kind and keeps both", arguments: Way.allCases)
    func refusesExisting(way: Way) throws {
        try folder.createFile("file").write("mine", at: 0)
        _ = try folder.openOrMakeDirectory("folder").createFile("inside")
        try target.createFile("file").write("yours", at: 0)
        try target.makeDirectory("folder")
        try target.makeSymlink("dangling", target: "nowhere")

        for source in ["file", "folder"] {
            for existing in ["file", "folder", "dangling"] {
                #expect(
                    failure {
                        try way.rename(source, of: folder, to: existing, in: target)
                    } == .fileExists,
                    "\(source) to \(existing)"
                )
            }
        }
        #expect(try folder.openFile("file").text() == "mine")
        #expect(try target.openFile("file").text() == "yours")
        #expect(try folder.subdirectory("folder").names() == [Array("inside".utf8)])
        #expect(try target.subdirectory("folder").names().isEmpty)
        #expect(try target.readLink("dangling") == "nowhere")
        #expect(try target.names().count == 3)
    }

    @Test("Renaming without replacing moves files, folders and links to a free name", arguments: Way.allCases)
    func movesToFreeName(way: Way) throws {
        try folder.createFile("file").write("mine", at: 0)
        _ = try folder.openOrMakeDirectory("folder").createFile("inside")
        try folder.makeSymlink("link", target: "nowhere")
        for name in ["file", "folder", "link"] {
            try way.rename(name, of: folder, to: name + " moved", in: target)
            #expect(try folder.statusIfPresent(name) == nil)
        }
        #expect(try target.openFile("file moved").text() == "mine")
        #expect(try target.status("file moved").linkCount == 1)
        #expect(try target.subdirectory("folder moved").names() == [Array("inside".utf8)])
        #expect(try target.readLink("link moved") == "nowhere")
    }

    @Test("A source that is absent is ENOENT", arguments: Way.allCases)
    func absentSource(way: Way) throws {
        #expect(
            failure { try way.rename("absent", of: folder, to: "x", in: target) }
                == .noSuchFileOrDirectory
        )
    }

    @Test("Exchange swaps two names, of unlike kinds too")
    func exchange() throws {
        try folder.createFile("first").write("1", at: 0)
        try target.createFile("second").write("2", at: 0)
        try folder.exchange("first", with: "second", in: target)
        #expect(try folder.openFile("first").text() == "2")
        #expect(try target.openFile("second").text() == "1")

        try folder.makeDirectory("folder")
        try folder.exchange("folder", with: "second", in: target)
        #expect(try folder.openFile("folder").text() == "1")
        #expect(try target.status("second").kind == .directory)
        #expect(
            failure { try folder.exchange("first", with: "absent", in: target) }
                == .noSuchFileOrDirectory
        )
    }

    @Test("A hard link is a second name, and never replaces")
    func links() throws {
        try folder.createFile("file").write("same", at: 0)
        try target.makeLink("second", to: "file", in: folder)
        #expect(try target.status("second").isSameFile(as: folder.status("file")))
        #expect(
            failure { try target.makeLink("second", to: "file", in: folder) } == .fileExists
        )
    }

    #if os(Linux)
    @Test("A hard link to a symbolic link is a second name of the link, not of its target")
    func linkToLink() throws {
        _ = try folder.createFile("file")
        try folder.makeSymlink("link", target: "file")
        try target.makeLink("second", to: "link", in: folder)
        #expect(try target.status("second").kind == .symlink)
        #expect(try folder.status("file").linkCount == 1)
    }
    #endif
}
