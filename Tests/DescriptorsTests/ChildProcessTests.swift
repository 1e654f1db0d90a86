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

// The module is named because TestSupport has a ChildProcess of its own.
@Suite("Child processes")
struct ChildProcessTests {
    private let scratch = ScratchFolder("child")
    private let folder: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    /// Runs a shell script whose output goes to a file, and returns its end and its output.
    private func run(
        _ script: String,
        environment: [String] = ["PATH=/usr/bin:/bin"],
        also descriptors: [(child: Int32, parent: Int32)] = [],
        in workingDirectory: String? = nil
    ) throws -> (end: Termination, output: String) {
        let output = try folder.createFile("output")
        let child = try Descriptors.ChildProcess.spawn(
            executable: "/bin/sh",
            arguments: ["-c", script],
            environment: environment,
            descriptors: [(child: 1, parent: output.rawValue)] + descriptors,
            workingDirectory: workingDirectory
        )
        let end = try child.wait()
        let text = try output.text()
        try folder.removeFile("output")
        return (end, text)
    }

    @Test("The exit code comes back", arguments: [0, 1, 42, 255] as [Int32])
    func exitCode(code: Int32) throws {
        #expect(try run("exit \(code)").end == .exited(code))
    }

    @Test("A killing signal comes back as the signal")
    func killed() throws {
        #expect(try run("kill -9 $$").end == .signalled(SIGKILL))
    }

    @Test("Only the named descriptors reach the child, not even one without close-on-exec")
    func onlyNamedDescriptors() throws {
        let file = try folder.createFile("inherited")
        try file.write("seen", at: 0)
        let leaky = OwnedDescriptor(adopting: fcntl(file.rawValue, F_DUPFD, 20))
        let script = """
            for number in 3 4 5 6 7 8 9 \(leaky.rawValue) \(file.rawValue); do
                if [ -e /dev/fd/$number ]; then echo open $number; fi
            done
            cat /dev/fd/0 < /dev/fd/5
            """
        let result = try run(script, also: [(child: 5, parent: file.rawValue)])
        #expect(Set(result.output.split(separator: "\n")) == ["open 5", "seen"])
        #expect(result.end == .exited(0))
    }

    @Test("Descriptors may exchange their numbers on the way")
    func exchangedNumbers() throws {
        let first = try folder.createFile("first")
        let second = try folder.createFile("second")
        try first.write("first", at: 0)
        try second.write("second", at: 0)
        let script = "cat /dev/fd/\(first.rawValue); echo; cat /dev/fd/\(second.rawValue)"
        let result = try run(
            script,
            also: [
                (child: first.rawValue, parent: second.rawValue), (child: second.rawValue, parent: first.rawValue),
            ]
        )
        #expect(result.output == "second\nfirst")
    }

    @Test("A descriptor keeps its number and loses close-on-exec when both are equal")
    func sameNumber() throws {
        let file = try folder.createFile("file")
        try file.write("same", at: 0)
        let result = try run(
            "cat /dev/fd/\(file.rawValue)",
            also: [(child: file.rawValue, parent: file.rawValue)]
        )
        #expect(result.output == "same")
        #expect(fcntl(file.rawValue, F_GETFD) & FD_CLOEXEC != 0, "the parent's own stays private")
    }

    @Test("Standard descriptors that are not named are the null device")
    func nullDevice() throws {
        let script = "cat; echo lost >&2; [ /dev/fd/0 -ef /dev/null ] && [ /dev/fd/2 -ef /dev/null ] && echo null"
        #expect(try run(script).output == "null\n")
    }

    @Test("The environment is exactly the given one")
    func environment() throws {
        let output = try folder.createFile("output")
        let child = try Descriptors.ChildProcess.spawn(
            executable: "/usr/bin/env",
            arguments: [],
            environment: ["ONE=1", "TWO=a b=c"],
            descriptors: [(child: 1, parent: output.rawValue)]
        )
        #expect(try child.wait() == .exited(0))
        #expect(try output.text() == "ONE=1\nTWO=a b=c\n")
    }

    @Test("Arguments arrive one by one, empty ones too")
    func arguments() throws {
        let output = try folder.createFile("output")
        let child = try Descriptors.ChildProcess.spawn(
            executable: "/bin/sh",
            arguments: ["-c", #"for a in "$0" "$@"; do echo "[$a]"; done"#, "", "a b", "*", ""],
            environment: [],
            descriptors: [(child: 1, parent: output.rawValue)]
        )
        #expect(try child.wait() == .exited(0))
        #expect(try output.text() == "[]\n[a b]\n[*]\n[]\n")
    }

    @Test("The child works in the folder that was asked for")
    func workingDirectory() throws {
        let expected = try ProcessContext.realPath(of: scratch.path)
        #expect(try run("pwd -P", in: scratch.path).output == expected + "\n")
    }

    @Test("An ignored SIGPIPE does not pass to the child")
    func dispositionsReset() throws {
        ProcessContext.ignoreSIGPIPE()
        #expect(try run("kill -PIPE $$; exit 3").end == .signalled(SIGPIPE))
    }

    @Test("A blocked signal is not blocked in the child")
    func maskReset() throws {
        var blocked = sigset_t()
        var before = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &blocked, &before)
        defer {
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        #expect(try run("kill -TERM $$; exit 3").end == .signalled(SIGTERM))
    }

    @Test("A running child polls as nil, leads its own session when asked, and takes a signal")
    func running() throws {
        var pair = try UnixSocket.pair()
        let ours = pair.takeFirst()
        let theirs = pair.takeSecond()
        let child = try Descriptors.ChildProcess.spawn(
            executable: "/bin/cat",
            arguments: [],
            environment: [],
            descriptors: [(child: 0, parent: theirs.rawValue), (child: 1, parent: theirs.rawValue)],
            newSession: true
        )
        try ours.append("ready")
        #expect(try ours.someBytes(16) == Array("ready".utf8))
        #expect(try child.poll() == nil)
        #expect(getsid(child.processID) == child.processID)
        try child.signal(SIGTERM)
        #expect(try child.wait() == .signalled(SIGTERM))
    }

    @Test("A program that cannot run is an error of spawn, and NUL is refused")
    func cannotRun() throws {
        func spawn(_ executable: String, _ argument: String = "") throws(SystemError) {
            _ = try Descriptors.ChildProcess.spawn(executable: executable, arguments: [argument], environment: [])
        }
        _ = try folder.createFile("no program")
        #expect(failure { try spawn(scratch.path + "/absent") } == .noSuchFileOrDirectory)
        #expect(failure { try spawn(scratch.path + "/no program") } == .permissionDenied)
        #expect(failure { try spawn("/bin/sh", "a\0b") } == .invalidArgument)
    }
}
