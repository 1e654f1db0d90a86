// SPDX-License-Identifier: MIT

#if os(Linux)
import Descriptors
import Foundation
import SystemPackage
import TestSupport
import Testing

/// The kernel's wall: each test raises one around a thread of a process of its own.
struct WallTests {
    /// Whether this kernel can have one.
    static var isThere: Bool { (try? Wall.begin()) != nil }

    private let scratch = ScratchFolder("wall")

    @Test("Behind it what is elsewhere can be neither read, made, changed, renamed nor removed", .enabled(if: isThere))
    func forbids() async throws {
        try TreeMaker.folder(scratch.path + "/inside/a")
        try TreeMaker.folder(scratch.path + "/inside/b")
        try TreeMaker.folder(scratch.path + "/outside/folder")
        try TreeMaker.folder(scratch.path + "/reading")
        try TreeMaker.write("mine", to: scratch.path + "/outside/file")
        try TreeMaker.write("read me", to: scratch.path + "/reading/file")
        await #expect(processExitsWith: .success) { [path = scratch.path as String] in
            // Held from before, as a daemon holds what it needs.
            let inside = try Directory.open(path + "/inside")
            let outside = try Directory.open(path + "/outside")
            let reading = try Directory.open(path + "/reading")
            let wall = try Wall.begin()
            try wall.allow(.keep, below: inside)
            try wall.allowReading(path + "/reading")
            try wall.allowReading("/proc")
            try wall.raiseForThisThread()

            func refused(_ what: String, as expected: Errno = .permissionDenied, _ body: () throws -> Void) {
                do {
                    try body()
                    Issue.record("\(what) succeeded")
                } catch {
                    #expect((error as? SystemError)?.errno == expected, "\(what): \(error)")
                }
            }
            refused("opening a path") { _ = try Directory.open(path) }
            refused("reading") { try outside.openFile("file").close() }
            refused("writing") { try outside.openFile("file", writable: true).close() }
            refused("appending") { try outside.openForAppending("file").close() }
            refused("making a file") { try outside.createFile("new").close() }
            refused("making a folder") { try outside.makeDirectory("new") }
            refused("making a symlink") { try outside.makeSymlink("new", target: "file") }
            refused("removing a file") { try outside.removeFile("file") }
            refused("removing a folder") { try outside.removeDirectory("folder") }
            refused("renaming") { try outside.rename("file", to: "other", in: outside) }
            refused("renaming out") {
                try inside.createFile("out").close()
                try inside.renameWithoutReplacing("out", to: "out", in: outside)
            }
            refused("exchanging") { try inside.exchange("out", with: "file", in: outside) }
            refused("linking in", as: .improperLink) { try inside.makeLink("stolen", to: "file", in: outside) }
            refused("making a file where reading is allowed") { try reading.createFile("new").close() }
            refused("binding a socket") { try UnixSocket.listen(at: UnixAddress(path: path + "/inside/s")).close() }
            refused("running a program") {
                _ = try ChildProcess.spawn(executable: "/bin/true", arguments: [], environment: []).wait()
            }

            // Of other processes only what everybody may know; libdispatch reads that of its threads.
            let (own, other) = (try Directory.open("/proc/self"), try Directory.open("/proc/\(getppid())"))
            try own.openFile("stat").close()
            try other.openFile("stat").close()
            // Root may look at every process (CAP_PERFMON), but not into its memory.
            for name in ["mem"] + (geteuid() == 0 ? [] : ["environ", "maps"]) {
                refused(name) { try other.openFile(name).close() }
            }

            // What is allowed works, renames from one folder to another as well.
            try reading.openFile("file").close()
            try inside.createFile("file").close()
            let (a, b) = (try inside.subdirectory("a"), try inside.subdirectory("b"))
            try inside.renameWithoutReplacing("file", to: "moved", in: a)
            try b.makeLink("linked", to: "moved", in: a)
            try b.exchange("linked", with: "moved", in: a)
            try a.makeSymlink("symlink", target: "moved")
            let file = try a.openFile("moved", writable: true)
            try file.truncate(to: 5)
            try file.close()
            try inside.removeTree("a")
        }
        #expect(try String(contentsOfFile: scratch.path + "/outside/file", encoding: .utf8) == "mine")
        #expect(TreeComparison.listing(scratch.path + "/outside").sorted() == ["file", "folder"])
    }

    @Test("A process with several threads gets none, as it would not bind the others", .enabled(if: isThere))
    func threads() async {
        await #expect(processExitsWith: .success) {
            // The test's own process has threads already.
            #expect(throws: Wall.Absence.hasThreads) { try Wall.begin().raise() }
            try Directory.open("/").synchronize()
        }
    }
}
#endif
