// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Foundation
import TestSupport
import Testing

@testable import RTunDaemon

struct DesktopServiceTests {
    private let scratch = ScratchFolder("desktop")
    private let programs: RecorderFolder
    private let inbox: String

    init() throws {
        programs = try RecorderFolder()
        inbox = scratch.path + "/inbox"
        try TreeMaker.folder(inbox + "/.rtun-view")
        try TreeMaker.folder(inbox + "/gpu01/.rtun-view")
        try TreeMaker.folder(inbox + "/.rtun-view/k-page/deep")
        try TreeMaker.folder(inbox + "/results")
        for path in [
            "inbox/.rtun-view/k-page/page.html", "inbox/.rtun-view/k-page/plot.png",
            "inbox/.rtun-view/k-page/deep/page.html", "inbox/results/page.html",
            "inbox/.rtun-view/k-plot.png", "inbox/gpu01/.rtun-view/k-plot.png", "inbox/.rtun-view/k-run.sh",
            "inbox/.rtun-view/k-program.png", "inbox/results/plot.png", "outside.png",
        ] {
            try TreeMaker.write("x", to: scratch.path + "/" + path)
        }
        let files = FileManager.default
        try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: inbox + "/.rtun-view/k-program.png")
        try files.createSymbolicLink(
            atPath: inbox + "/.rtun-view/k-link.png",
            withDestinationPath: scratch.path + "/outside.png"
        )
        try files.createSymbolicLink(atPath: inbox + "/away", withDestinationPath: scratch.path)
        try TreeMaker.folder(inbox + "/.rtun-view/k-folder.png")
    }

    private func places() throws -> DesktopPlaces { DesktopPlaces([try Ground(path: inbox)]) }

    private func service(timeout: Duration = .seconds(30)) throws -> DesktopService {
        DesktopService(
            try places(),
            opener: Opener(platform: .freedesktop, environment: programs.environment, timeout: timeout),
            notifier: Notifier(program: .notifySend, environment: programs.environment, timeout: timeout)
        )
    }

    @Test("A file is opened where Delivery puts what is viewed, and nowhere else")
    func files() throws {
        let places = try places()
        #expect(places.isViewedFile(inbox + "/.rtun-view/k-plot.png"))
        #expect(places.isViewedFile(inbox + "/gpu01/.rtun-view/k-plot.png"))
        #expect(places.isViewedFile(inbox + "/.rtun-view/k-page/page.html"))
        for path in [
            "/.rtun-view/k-run.sh", "/.rtun-view/k-program.png", "/.rtun-view/k-link.png", "/.rtun-view/k-folder.png",
            "/.rtun-view/absent.png", "/results/plot.png", "/.rtun-view/../results/plot.png", "/../outside.png",
            "/.rtun-view/k-page/plot.png", "/.rtun-view/k-page/deep/page.html", "/results/page.html",
            "/away/outside.png", "/.rtun-view/k-plot.png/", "/.rtun-view/k-plot.png\0", "", "/",
        ] {
            #expect(!places.isViewedFile(inbox + path), "\(path.debugDescription)")
        }
        for path in [scratch.path + "/outside.png", ".rtun-view/k-plot.png", "--help", "https://example.org/x.png"] {
            #expect(!places.isViewedFile(path), "\(path)")
        }
    }

    @Test("A folder is shown in an inbox, and never through a link")
    func folders() throws {
        let places = try places()
        for path in ["", "/", "/results", "/results/", "/gpu01"] { #expect(places.isFolder(inbox + path), "\(path)") }
        for path in ["/away", "/away/inbox", "/results/..", "/absent", "/results/plot.png", "x"] {
            #expect(!places.isFolder(inbox + path), "\(path)")
        }
        #expect(!places.isFolder(scratch.path))
        #expect(!places.isFolder("/"))
    }

    @Test("An inbox that was replaced meanwhile opens nothing")
    func replaced() throws {
        let places = try places()
        try FileManager.default.moveItem(atPath: inbox, toPath: inbox + ".moved")
        try FileManager.default.createSymbolicLink(atPath: inbox, withDestinationPath: inbox + ".moved")
        #expect(!places.isViewedFile(inbox + "/.rtun-view/k-plot.png"))
        #expect(!places.isFolder(inbox))
    }

    @Test("Requests and answers come out as they went in; every cut, and every other kind, is refused")
    func messages() throws {
        let notice = DesktopNotice(
            title: "t",
            body: "b\n",
            urgency: .critical,
            origin: .unverified(name: "n"),
            expiry: 7
        )
        for request: DesktopRequest in [
            .open("/a"), .mark("/a/b"), .show(notice, replacing: 0), .show(notice, replacing: .max),
            .show(DesktopNotice(title: "", body: "", origin: .label("gpu01")), replacing: nil),
            .offer(notice, folder: "/f"), .transferBegan, .transferEnded,
        ] {
            let bytes = Array(request.message(300).dropFirst(4))
            let (number, decoded) = try DesktopRequest.decode(bytes)
            #expect(number == 300 && decoded == request)
            for length in bytes.indices {
                #expect(throws: FormatError.self) { try DesktopRequest.decode(Array(bytes[..<length])) }
            }
            #expect(throws: FormatError.self) { try DesktopRequest.decode(bytes + [0]) }
        }
        for answer: DesktopAnswer in [
            .opened(.opened), .opened(.failed(reason: "f")), .opened(.unavailable(reason: "u")), .marked,
            .shown(.shown(number: nil)), .shown(.shown(number: 41)), .shown(.failed(reason: "f")),
            .shown(.unavailable(reason: "u")),
        ] {
            let (number, decoded) = try DesktopAnswer.decode(Array(answer.message(1).dropFirst(4)))
            #expect(number == 1 && decoded == answer)
        }
        #expect(throws: FormatError.self) { try DesktopRequest.decode([1, 7]) }
        #expect(throws: FormatError.self) { try DesktopRequest.decode([1, 0]) }
    }

    @Test("What is not in its place starts no program; what is, does")
    func opens() async throws {
        try programs.install("xdg-open", script: RecorderFolder.recording)
        let service = try service()
        for path in [scratch.path + "/outside.png", inbox + "/.rtun-view/k-run.sh", "--version"] {
            guard case .opened(.failed) = await service.answer(.open(path)) else {
                Issue.record("\(path) was not refused")
                continue
            }
        }
        #expect(try programs.recorded().isEmpty)
        #expect(await service.answer(.open(inbox + "/.rtun-view/k-plot.png")) == .opened(.opened))
        #expect(try programs.recorded() == [inbox + "/.rtun-view/k-plot.png"])
    }

    /// Runs the service on a link; returns the other end, blocking.
    private func serving(_ service: DesktopService) throws -> (end: FileHandle, task: Task<Void, any Error>) {
        var pair = try UnixSocket.pair()
        let mine = pair.takeFirst()
        let theirs = pair.takeSecond().relinquish()
        let task = Task { try await service.run(OwnedDescriptor(adopting: theirs)) }
        return (FileHandle(fileDescriptor: mine.relinquish(), closeOnDealloc: true), task)
    }

    @Test("A worker that has gone ends the process and the programs that it waits for")
    func ends() async throws {
        try programs.install("notify-send", script: #"printf '%s\0' $$ >> "$RECORD"; exec "$SLEEP" 60"#)
        let (end, task) = try serving(try service())
        try end.write(
            contentsOf: DesktopRequest.offer(
                DesktopNotice(title: "t", body: "b", origin: .label("gpu01")),
                folder: inbox
            ).message(0)
        )
        let programs = programs
        try #require(await Waiting.until(within: .seconds(60)) { (try? programs.recorded().count) == 1 })
        let process = try #require(Int32(try programs.recorded()[0]))
        try end.close()
        try await task.value
        #expect(kill(process, 0) == -1 && errno == ESRCH)
    }

    @Test(
        "What is no request ends the link",
        arguments: [[1, 0, 0, 0, 9], [255, 255, 255, 255], [2, 0, 0, 0, 1, 9], [0, 0, 0, 0]] as [[UInt8]]
    )
    func violation(_ bytes: [UInt8]) async throws {
        let (end, task) = try serving(try service())
        try end.write(contentsOf: bytes)
        try await task.value
        #expect(try end.readToEnd() ?? Data() == Data())
    }
}
