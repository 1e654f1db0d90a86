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

@Suite("Opening and making by one component")
struct DirectoryTests {
    private let scratch = ScratchFolder("directory")
    private let folder: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    @Test(
        "A component that is not one plain name is refused before any call",
        arguments: ["", ".", "..", "/", "a/b", "/no-such-folder/x", "sub/", "../x", "a\0b"]
    )
    func componentRefused(name: String) throws {
        try folder.makeDirectory("sub")
        #expect(failure { _ = try folder.openFile(name) } == .invalidArgument)
        #expect(failure { _ = try folder.subdirectory(name) } == .invalidArgument)
        #expect(failure { _ = try folder.status(name) } == .invalidArgument)
        // Without the guard these would do what they say, outside the test's own folder.
        guard !["..", "/"].contains(name) else { return }
        #expect(failure { _ = try folder.createFile(name) } == .invalidArgument)
        #expect(failure { try folder.makeDirectory(name) } == .invalidArgument)
        #expect(failure { try folder.removeTree(name) } == .invalidArgument)
        #expect(failure { try folder.rename("sub", to: name, in: folder) } == .invalidArgument)
        #expect(failure { try folder.renameWithoutReplacing(name, to: "x", in: folder) } == .invalidArgument)
        #expect(failure { try folder.makeSymlink(name, target: "x") } == .invalidArgument)
        #expect(try folder.names() == [Array("sub".utf8)])
    }

    @Test("A symbolic link as the last component is followed only on request")
    func symlinkRefused() throws {
        try folder.makeDirectory("real")
        try folder.createFile("file").write("content", at: 0)
        try folder.makeSymlink("to-folder", target: "real")
        try folder.makeSymlink("to-file", target: "file")

        #expect(failure { _ = try folder.openFile("to-file") } == .tooManySymbolicLinkLevels)
        #expect(failure { _ = try folder.openFile("to-file", writable: true) } == .tooManySymbolicLinkLevels)
        #expect(failure { _ = try folder.openForAppending("to-file") } == .tooManySymbolicLinkLevels)
        let refusals: [Errno?] = [.notDirectory, .tooManySymbolicLinkLevels]
        #expect(refusals.contains(failure { _ = try folder.subdirectory("to-folder") }))
        #expect(refusals.contains(failure { _ = try folder.openOrMakeDirectory("to-folder") }))
        #expect(
            refusals.contains(failure { _ = try Directory.open(scratch.path + "/to-folder", followingLinks: false) })
        )

        #expect(try folder.openFile("to-file", followingLink: true).text() == "content")
        #expect(try folder.status("to-file").kind == .symlink)
        #expect(try folder.status("to-file", followingLink: true).kind == .file)
        #expect(try folder.readLink("to-file") == "file")
    }

    @Test("Creating refuses an existing file and a dangling link, and makes nothing behind the link")
    func createRefusesExisting() throws {
        try folder.createFile("file").write("kept", at: 0)
        try folder.makeSymlink("dangling", target: "nowhere")
        #expect(failure { _ = try folder.createFile("file") } == .fileExists)
        #expect(failure { _ = try folder.createFile("dangling") } == .fileExists)
        #expect(failure { _ = try folder.openForAppending("dangling") } == .tooManySymbolicLinkLevels)
        #expect(failure { try folder.makeDirectory("dangling") } == .fileExists)
        #expect(try folder.openFile("file").text() == "kept")
        #expect(try folder.statusIfPresent("nowhere") == nil)
    }

    @Test("Opening a FIFO does not wait for the other side", .timeLimit(.minutes(1)))
    func fifoDoesNotBlock() throws {
        #expect(mkfifo(scratch.path + "/fifo", 0o600) == 0)
        let opened = try folder.openFile("fifo")
        #expect(try opened.status().kind == .fifo)
        #expect(failure { _ = try folder.openForAppending("fifo") } == nil)
    }

    @Test("Descriptors do not pass to a child by themselves")
    func closeOnExec() throws {
        let file = try folder.createFile("file")
        let appending = try folder.openForAppending("file")
        let again = try folder.openFile("file")
        let sub = try folder.openOrMakeDirectory("sub")
        for number in [
            file.rawValue, appending.rawValue, again.rawValue, sub.descriptor.rawValue, folder.descriptor.rawValue,
        ] {
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        }
    }

    @Test("Appending goes to the end whatever others wrote")
    func appending() throws {
        try folder.openForAppending("log").append("one ")
        let first = try folder.openForAppending("log")
        let second = try folder.openForAppending("log")
        try first.append("two ")
        try second.append("three ")
        try first.append("four")
        #expect(try folder.openFile("log").text() == "one two three four")
    }

    @Test("openOrMakeDirectory makes once and opens afterwards; a file in its place is an error")
    func openOrMake() throws {
        let made = try folder.openOrMakeDirectory("sub")
        _ = try made.createFile("inside")
        #expect(try folder.openOrMakeDirectory("sub").names() == [Array("inside".utf8)])
        #expect(try made.status().mode == 0o700)
        #expect(failure { try folder.makeDirectory("sub") } == .fileExists)
        _ = try folder.createFile("file")
        #expect(failure { _ = try folder.openOrMakeDirectory("file") } == .notDirectory)
    }

    @Test("A held folder stays the same when its path leads elsewhere")
    func heldAcrossRename() throws {
        let held = try folder.openOrMakeDirectory("before")
        try folder.rename("before", to: "after", in: folder)
        try folder.makeSymlink("before", target: "/")
        _ = try held.createFile("found")
        #expect(try folder.subdirectory("after").statusIfPresent("found") != nil)
    }

    @Test("Status tells kind, size, mode, links and owner")
    func statusFields() throws {
        let file = try folder.createFile("file")
        try file.write("12345", at: 0)
        try file.setMode(0o4751)
        try folder.makeLink("second", to: "file", in: folder)
        let status = try folder.status("file")
        #expect(status.kind == .file)
        #expect(status.size == 5)
        #expect(status.mode == 0o4751)
        #expect(status.linkCount == 2)
        #expect(status.owner == ProcessContext.effectiveUserID)
        #expect(try folder.status("second").isSameFile(as: status))
        #expect(try file.status() == folder.status("second"))
        #expect(try folder.status().kind == .directory)
    }

    @Test("Absence is nil, any other failure is thrown")
    func presence() throws {
        _ = try folder.createFile("file")
        #expect(try folder.statusIfPresent("absent") == nil)
        #expect(try folder.statusIfPresent("file") != nil)
        #expect(failure { _ = try folder.statusIfPresent(String(repeating: "x", count: 300)) } == .fileNameTooLong)
    }

    @Test("A link target comes back whole at any length, and NUL in it is refused", arguments: [1, 1023, 1024, 4000])
    func longTargets(length: Int) throws {
        let target = String(repeating: "t", count: length)
        try folder.makeSymlink("link", target: target)
        #expect(try folder.readLink("link") == target)
        #expect(failure { try folder.makeSymlink("bad", target: "a\0b") } == .invalidArgument)
        #expect(failure { try folder.makeSymlink("link", target: "other") } == .fileExists)
    }

    @Test("A folder's own mode and time are set through its descriptor")
    func folderAttributes() throws {
        let sub = try folder.openOrMakeDirectory("sub")
        try sub.setModified(Timestamp(seconds: 1_234_567_890, nanoseconds: 123_456_789))
        try sub.setMode(0o750)
        try sub.synchronize()
        let status = try folder.status("sub")
        #expect(status.mode == 0o750)
        #expect(status.modified == Timestamp(seconds: 1_234_567_890, nanoseconds: 123_456_789))
    }

    @Test("Space is plausible, and a local pseudo file system is no network")
    func fileSystem() throws {
        let space = try folder.space()
        #expect(space.total > 0)
        #expect(space.available <= space.total)
        #expect(space.freeNodes > 0)
        #if os(Linux)
        #expect(try Directory.open("/proc").isOnNetworkFileSystem() == false)
        #endif
    }
}
