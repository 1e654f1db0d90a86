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

@Suite("Removing")
struct RemovalTests {
    private let scratch = ScratchFolder("removal")
    private let folder: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    @Test("A tree goes with everything in it, and a link in it is removed, not followed")
    func doesNotFollowLinks() throws {
        let outside = try folder.openOrMakeDirectory("outside")
        try outside.createFile("precious").write("kept", at: 0)
        let tree = try folder.openOrMakeDirectory("tree")
        let sub = try tree.openOrMakeDirectory("sub")
        _ = try sub.openOrMakeDirectory("empty")
        _ = try sub.createFile("file")
        for place in [tree, sub] {
            try place.makeSymlink("out", target: scratch.path + "/outside")
            try place.makeSymlink("dangling", target: "nowhere")
        }
        #expect(mkfifo(scratch.path + "/tree/sub/fifo", 0o600) == 0)

        try folder.removeTree("tree")
        #expect(try folder.names() == [Array("outside".utf8)])
        #expect(try outside.openFile("precious").text() == "kept")
    }

    @Test("Given a link, removeTree removes the link; given a file, the file; given nothing, ENOENT")
    func otherKinds() throws {
        _ = try folder.openOrMakeDirectory("real").createFile("inside")
        try folder.makeSymlink("link", target: "real")
        _ = try folder.createFile("file")
        try folder.removeTree("link")
        try folder.removeTree("file")
        #expect(try folder.names() == [Array("real".utf8)])
        #expect(try folder.subdirectory("real").names().count == 1)
        #expect(failure { try folder.removeTree("absent") } == .noSuchFileOrDirectory)
    }

    @Test("A wide tree of many levels goes in order")
    func wideTree() throws {
        func fill(_ folder: Directory, levels: Int) throws {
            for index in 0..<4 {
                _ = try folder.createFile("file \(index)")
                if levels > 0 {
                    try fill(try folder.openOrMakeDirectory("folder \(index)"), levels: levels - 1)
                }
            }
        }
        try fill(try folder.openOrMakeDirectory("tree"), levels: 4)
        try folder.removeTree("tree")
        #expect(try folder.names().isEmpty)
    }

    @Test("A tree far deeper than the number of descriptors goes too", .timeLimit(.minutes(2)))
    func deepTree() async throws {
        await #expect(processExitsWith: .success) { [path = scratch.path as String] in
            var limit = rlimit(rlim_cur: 64, rlim_max: 64)
            #expect(setrlimit(openFiles, &limit) == 0)
            let anchor = try Directory.open(path)
            do {
                // Closed before the removal: an open folder below would make each step of it slower.
                var deepest = try anchor.openOrMakeDirectory("tree")
                for _ in 0..<10_000 {
                    deepest = try deepest.openOrMakeDirectory("level")
                }
            }
            try anchor.removeTree("tree")
            #expect(try anchor.names().isEmpty)
        }
    }

    @Test(
        "Folders without permissions are made accessible and removed",
        arguments: [0o000, 0o500, 0o400, 0o100] as [UInt32]
    )
    func inaccessibleFolders(mode: UInt32) throws {
        let tree = try folder.openOrMakeDirectory("tree")
        let closed = try tree.openOrMakeDirectory("closed")
        _ = try closed.openOrMakeDirectory("inner").createFile("file")
        try closed.subdirectory("inner").setMode(mode)
        try closed.setMode(mode)
        try tree.setMode(mode)
        try folder.removeTree("tree")
        #expect(try folder.names().isEmpty)
    }

    @Test("removeDirectory takes empty folders alone, removeFile never a folder")
    func single() throws {
        let sub = try folder.openOrMakeDirectory("sub")
        _ = try sub.createFile("file")
        #expect(failure { try folder.removeDirectory("sub") } == .directoryNotEmpty)
        #expect(failure { try folder.removeFile("sub") } != nil)
        #expect(failure { try sub.removeDirectory("file") } == .notDirectory)
        try sub.removeFile("file")
        try folder.removeDirectory("sub")
        #expect(try folder.names().isEmpty)
    }
}
