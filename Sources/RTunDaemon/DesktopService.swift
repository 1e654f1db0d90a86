// SPDX-License-Identifier: MIT

private import Archive
package import Descriptors
private import NIOCore
private import NIOPosix
private import Synchronization
private import Transfer

/// The process that runs the programs of the desktop for the worker, which may start none itself.
///
/// It stands outside of the worker's `Wall`, so it takes little on trust: of a fixed set of requests each is checked
/// here again, and all that is given to a program but the words of a notice is its own.
package struct DesktopService: Sendable {
    /// Requests that are worked on at once; more are answered with a failure.
    private static let requestLimit = 32
    /// Notices whose buttons are waited for, each by one program, and for how long.
    private static let buttonLimit = 4
    private static let buttonPatience: Duration = .seconds(600)
    private static let button = "Show folder"

    private let places: DesktopPlaces
    private let opener: Opener
    private let notifier: Notifier
    private let inhibitor: SleepInhibitor
    private let counts = Counts()

    package init(
        _ places: DesktopPlaces,
        opener: Opener = Opener(),
        notifier: Notifier = Notifier(),
        inhibitor: SleepInhibitor = SleepInhibitor()
    ) {
        self.places = places
        self.opener = opener
        self.notifier = notifier
        self.inhibitor = inhibitor
    }

    /// Serves until the worker is gone, or says what is no request; programs that still run are then ended.
    package func run(_ end: consuming OwnedDescriptor) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connection = try await SocketConnection.adopting(end, on: group)
        await withTaskGroup(of: Void.self) { tasks in
            var link = DesktopLink(connection)
            while let bytes = try? await link.next(), let (number, request) = try? DesktopRequest.decode(bytes) {
                switch request {
                case .transferBegan: await inhibitor.begin()
                case .transferEnded: await inhibitor.end()
                case .offer(let notice, let folder): tasks.addTask { await offer(notice, folder) }
                case .open, .mark, .show:
                    let hasRoom = counts.begin(atMost: Self.requestLimit)
                    tasks.addTask {
                        let answer = hasRoom ? await answer(request) : Self.refusal(of: request)
                        if hasRoom { counts.end() }
                        // When the worker is gone the loop above ends.
                        if let answer { try? await DesktopLink(connection).send(answer.message(number)) }
                    }
                }
            }
            tasks.cancelAll()
        }
        await inhibitor.endAll()
        connection.close()
        try await group.shutdownGracefully()
    }

    /// Nil for what is not answered.
    func answer(_ request: DesktopRequest) async -> DesktopAnswer? {
        switch request {
        case .open(let path):
            guard places.isViewedFile(path) else { return Self.refusal(of: request) }
            return .opened(await opener.open(path))
        case .mark(let path):
            if places.isViewedFile(path) { await opener.mark(path) }
            return .marked
        case .show(let notice, let replaced): return .shown(await notifier.show(notice, replacing: replaced))
        case .offer, .transferBegan, .transferEnded: return nil
        }
    }

    private func offer(_ notice: DesktopNotice, _ folder: String) async {
        guard counts.beginButton(atMost: Self.buttonLimit) else {
            // Shown without, unless too much is shown already.
            guard counts.begin(atMost: Self.requestLimit) else { return }
            _ = await notifier.show(notice)
            counts.end()
            return
        }
        let isPressed = await notifier.show(notice, offering: Self.button, for: Self.buttonPatience)
        counts.endButton()
        // It may have been moved while the notice was there.
        if isPressed, places.isFolder(folder) { _ = await opener.open(folder) }
    }

    private static func refusal(of request: DesktopRequest) -> DesktopAnswer? {
        switch request {
        case .open: .opened(.failed(reason: "it is not opened: no viewed file, or too many at once"))
        case .mark: .marked
        case .show: .shown(.failed(reason: "too many notices at once"))
        case .offer, .transferBegan, .transferEnded: nil
        }
    }

    private final class Counts: Sendable {
        private let counts = Mutex((requests: 0, buttons: 0))

        func begin(atMost limit: Int) -> Bool {
            counts.withLock { counts in
                guard counts.requests < limit else { return false }
                counts.requests += 1
                return true
            }
        }

        func end() { counts.withLock { $0.requests -= 1 } }

        func beginButton(atMost limit: Int) -> Bool {
            counts.withLock { counts in
                guard counts.buttons < limit else { return false }
                counts.buttons += 1
                return true
            }
        }

        func endButton() { counts.withLock { $0.buttons -= 1 } }
    }
}
