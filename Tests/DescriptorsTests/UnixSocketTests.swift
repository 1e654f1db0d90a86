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

@Suite("UNIX sockets")
struct UnixSocketTests {
    private let scratch = ScratchFolder("socket")
    private let folder: Directory

    init() throws {
        folder = try Directory.open(scratch.path)
    }

    @Test("An address takes 1 to 103 bytes, counted as bytes")
    func addressLength() throws {
        #expect(try UnixAddress(path: String(repeating: "x", count: 103)).path.utf8.count == 103)
        #expect(try UnixAddress(path: "x").path == "x")
        for path in [String(repeating: "x", count: 104), String(repeating: "é", count: 52)] {
            let error = #expect(throws: SystemError.self) { try UnixAddress(path: path) }
            #expect(error?.errno == .fileNameTooLong)
            let description = error?.description ?? ""
            #expect(description.contains("104 bytes"))
            #expect(description.contains("limit is 103"))
        }
        #expect(failure { _ = try UnixAddress(path: "") } == .invalidArgument)
        #expect(failure { _ = try UnixAddress(path: "a\0b") } == .invalidArgument)
    }

    @Test("A path of 103 bytes is bound and reached under exactly that name")
    func longestPath() throws {
        let name = String(repeating: "n", count: 103 - scratch.path.utf8.count - 1)
        let address = try UnixAddress(path: scratch.path + "/" + name)
        let listener = try UnixSocket.listen(at: address, backlog: 1)
        _ = try UnixSocket.connect(to: address)
        #expect(try folder.names() == [Array(name.utf8)])
        try listener.close()
    }

    @Test("The socket file has mode 0600 right after listening")
    func socketMode() throws {
        let listener = try UnixSocket.listen(at: try UnixAddress(path: scratch.path + "/s"))
        let status = try folder.status("s")
        #expect(status.kind == .socket)
        #expect(status.mode == 0o600)
        #expect(fcntl(listener.rawValue, F_GETFL) & O_NONBLOCK != 0)
        #expect(fcntl(listener.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    }

    #if os(Linux)
    @Test("Even without a umask the file is private, and the umask stays")
    func socketModeWithoutUmask() async throws {
        await #expect(processExitsWith: .success) { [path = scratch.path as String] in
            ProcessContext.setUmask(0)
            let listener = try UnixSocket.listen(at: try UnixAddress(path: path + "/s"))
            #expect(try Directory.open(path).status("s").mode == 0o600)
            #expect(ProcessContext.setUmask(0o77) == 0)
            try listener.close()
        }
    }

    @Test("A full backlog is EAGAIN at once")
    func fullBacklog() throws {
        let address = try UnixAddress(path: scratch.path + "/s")
        let listener = try UnixSocket.listen(at: address, backlog: 0)
        let first = try UnixSocket.connect(to: address)
        #expect(
            failure { _ = try UnixSocket.connect(to: address) }
                == .resourceTemporarilyUnavailable
        )
        try first.close()
        try listener.close()
    }
    #endif

    @Test("Both ends learn the other's user")
    func peerUser() throws {
        let address = try UnixAddress(path: scratch.path + "/s")
        let listener = try UnixSocket.listen(at: address)
        let client = try UnixSocket.connect(to: address)
        let server = OwnedDescriptor(adopting: accept(listener.rawValue, nil, nil))
        #expect(try UnixSocket.peerUserID(of: server.rawValue) == ProcessContext.effectiveUserID)
        #expect(try UnixSocket.peerUserID(of: client.rawValue) == ProcessContext.effectiveUserID)
        #expect(fcntl(client.rawValue, F_GETFL) & O_NONBLOCK != 0)
        #expect(fcntl(client.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test("What is no connected socket has no peer")
    func noPeer() throws {
        let file = try folder.createFile("file")
        #expect(
            failure { _ = try UnixSocket.peerUserID(of: file.rawValue) } == .notSocket
        )
    }

    @Test("Absent, stale and occupied paths are told apart, and nothing is removed")
    func refusals() throws {
        let address = try UnixAddress(path: scratch.path + "/s")
        #expect(
            failure { _ = try UnixSocket.connect(to: address) } == .noSuchFileOrDirectory
        )
        try UnixSocket.listen(at: address).close()
        #expect(failure { _ = try UnixSocket.connect(to: address) } == .connectionRefused)
        #expect(failure { _ = try UnixSocket.listen(at: address) } == .addressInUse)
        #expect(try folder.status("s").kind == .socket)
    }
}
