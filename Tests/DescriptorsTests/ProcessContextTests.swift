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

@Suite("The process and its surroundings")
struct ProcessContextTests {
    @Test("Identity agrees with the system")
    func identity() throws {
        #expect(ProcessContext.processID == getpid())
        #expect(ProcessContext.effectiveUserID == geteuid())
        #expect(try !ProcessContext.hostName().isEmpty)
        #expect(try ProcessContext.executablePath().hasPrefix("/"))
        #expect(try Directory.open("/").status().kind == .directory)
    }

    @Test("The idle time of the processors only grows, and by no more than they have")
    func idleTime() async throws {
        let start = ProcessContext.monotonicNow
        let before = try #require(ProcessContext.idleTime)
        #expect(before > .zero)
        var latest = before
        // A processor without a moment's rest in ten seconds is none of a machine that runs tests.
        while latest == before, ProcessContext.monotonicNow - start < .seconds(10) {
            try await Task.sleep(for: .milliseconds(20))
            latest = try #require(ProcessContext.idleTime)
            #expect(latest >= before)
        }
        let most = (ProcessContext.monotonicNow - start + .milliseconds(50)) * ProcessContext.allowedProcessorCount
        #expect(latest > before && latest - before <= most)
    }

    @Test("An environment variable is found by its name, and stands in the whole list")
    func environment() throws {
        let path = try #require(ProcessContext.environment("PATH"))
        #expect(ProcessContext.allEnvironment.contains("PATH=" + path))
        #expect(ProcessContext.environment("RTUN_VARIABLE_THAT_NOBODY_SETS") == nil)
    }

    @Test("A real path has no link in it")
    func realPath() throws {
        let scratch = ScratchFolder("context")
        let folder = try Directory.open(scratch.path)
        try folder.makeDirectory("real")
        try folder.makeSymlink("link", target: "real")
        let base = try ProcessContext.realPath(of: scratch.path)
        #expect(try ProcessContext.realPath(of: scratch.path + "/link/../link/.") == base + "/real")
        #expect(
            failure { _ = try ProcessContext.realPath(of: scratch.path + "/absent") }
                == .noSuchFileOrDirectory
        )
        #expect(failure { _ = try ProcessContext.realPath(of: "") } == .invalidArgument)
        #expect(try ProcessContext.currentDirectory() == ProcessContext.realPath(of: "."))
    }

    @Test("The boot identifier is one word and stays")
    func bootIdentifier() throws {
        let identifier = try ProcessContext.bootIdentifier()
        #expect(identifier.utf8.count == 36)
        #expect(!identifier.contains { $0.isWhitespace })
        #expect(try ProcessContext.bootIdentifier() == identifier)
    }

    @Test("A socket is no terminal")
    func noTerminal() throws {
        var pair = try UnixSocket.pair()
        let socket = pair.takeFirst()
        #expect(!ProcessContext.isTerminal(socket.rawValue))
        #expect(ProcessContext.terminalWidth(socket.rawValue) == nil)
    }

    #if os(Linux)
    @Test("A pseudo-terminal is a terminal and has the width that it was given")
    func terminal() throws {
        let terminal = OwnedDescriptor(adopting: open("/dev/ptmx", O_RDWR | O_NOCTTY))
        #expect(ProcessContext.isTerminal(terminal.rawValue))
        #expect(ProcessContext.terminalWidth(terminal.rawValue) == nil, "no size is set yet")
        var size = winsize(ws_row: 24, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0)
        #expect(ioctl(terminal.rawValue, UInt(TIOCSWINSZ), &size) == 0)
        #expect(ProcessContext.terminalWidth(terminal.rawValue) == 97)
    }
    #endif

    @Test("Clocks go forward, and the wall clock is in this century")
    func clocks() {
        let first = ProcessContext.monotonicNow
        let second = ProcessContext.monotonicNow
        #expect(first <= second)
        #expect(first > .zero)
        #expect(Timestamp.now() > Timestamp(seconds: 1_700_000_000, nanoseconds: 0))
        #expect(Timestamp(seconds: 1, nanoseconds: 999_999_999) < Timestamp(seconds: 2, nanoseconds: 0))
        #expect(Timestamp(seconds: 1, nanoseconds: 1) < Timestamp(seconds: 1, nanoseconds: 2))
    }

    @Test("The limit of descriptors goes up to the hard one and is told")
    func descriptorLimit() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit()
            #expect(getrlimit(openFiles, &limit) == 0)
            limit.rlim_cur = 64
            limit.rlim_max = min(limit.rlim_max, 200)
            #expect(setrlimit(openFiles, &limit) == 0)
            let raised = try ProcessContext.raiseDescriptorLimit()
            #expect(raised == Int(limit.rlim_max))
            #expect(getrlimit(openFiles, &limit) == 0)
            #expect(limit.rlim_cur == limit.rlim_max)
        }
    }

    @Test("The umask is set and the former one returned")
    func umask() async {
        await #expect(processExitsWith: .success) {
            ProcessContext.setUmask(0o027)
            #expect(ProcessContext.setUmask(0o077) == 0o027)
        }
    }

    @Test("At least one processor is allowed")
    func processors() {
        #expect(ProcessContext.allowedProcessorCount >= 1)
        #expect(ProcessContext.allowedProcessorCount <= sysconf(Int32(_SC_NPROCESSORS_CONF)))
    }

    #if os(Linux)
    @Test("The processors are those that the kernel allows this process")
    func affinity() throws {
        // One line such as "Cpus_allowed:	00000000,0000000f".
        let status = try Directory.open("/proc/self").openFile("status").bytes(1 << 16, at: 0)
        let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
        let mask = try #require(lines.first { $0.hasPrefix("Cpus_allowed:") }).dropFirst("Cpus_allowed:".count)
        let allowed = mask.compactMap { $0.hexDigitValue }.reduce(0) { $0 + $1.nonzeroBitCount }
        #expect(ProcessContext.allowedProcessorCount == allowed)
    }
    #endif
}
