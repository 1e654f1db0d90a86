// SPDX-License-Identifier: MIT

private import Archive
import Descriptors
import Logging
import Transfer

/// The sockets of the hosts that have a label, `s/<label>.sock` in the state folder, each made when it is asked for.
///
/// The worker binds them, not the supervisor: they come and go while it runs, and a worker that was restarted binds
/// them again from the list that it keeps. A peer that connects in between is refused, and tries again.
actor LabelSockets {
    /// A socket that listens, for the daemon to serve.
    struct Opened: Sendable {
        let label: HostLabel
        let socket: ListeningSocket
    }

    /// Why there is no socket for a label, in a sentence for the user.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// Every socket once, as soon as it listens.
    nonisolated let opened: AsyncStream<Opened>

    private let folder: StateFolder
    private let book: LabelBook
    private let announce: AsyncStream<Opened>.Continuation
    private var sockets: [HostLabel: ListeningSocket] = [:]

    init(in folder: StateFolder) {
        self.folder = folder
        book = LabelBook(in: folder.directory)
        (opened, announce) = AsyncStream.makeStream()
    }

    /// The labels whose sockets listen.
    var labels: Set<HostLabel> { Set(sockets.keys) }

    /// Listens for all remembered hosts and for those that have settings; one that cannot be served is logged.
    func openRemembered(and configured: [HostLabel], _ logger: Logger) {
        do {
            for label in Set(try book.labels() + configured).sorted() {
                do { _ = try listen(label) } catch { logger.error("no socket for \(label.text): \(error)") }
            }
        } catch {
            logger.error("the list of labels cannot be read: \(error)")
        }
    }

    /// The absolute path of the host's socket, which listens from now on and after each restart.
    func open(_ label: HostLabel) throws -> String {
        var remembered = try book.labels()
        if !remembered.contains(label) {
            guard remembered.count < LabelBook.limit else {
                throw Fault(
                    description: "there are \(LabelBook.limit) labels already; remove lines from the file 'labels'"
                )
            }
            let path = try listen(label)
            remembered.append(label)
            try book.write(remembered.sorted())
            return path
        }
        return try listen(label)
    }

    /// Removes the sockets of this process; they are remembered all the same.
    func close() {
        announce.finish()
        for socket in sockets.values { socket.remove() }
        sockets = [:]
    }

    private func listen(_ label: HostLabel) throws -> String {
        let path = "\(folder.path)/s/\(label.text).sock"
        if let socket = sockets[label] {
            if socket.isInPlace { return path }
            // Somebody removed it: the old one is served to its end, a new one takes its place.
            sockets[label] = nil
        }
        _ = try UnixAddress(path: path)
        let holder = try folder.directory.openOrMakeDirectory("s")
        let status = try holder.status()
        guard status.owner == ProcessContext.effectiveUserID, status.mode & 0o077 == 0 else {
            throw Fault(description: "\(folder.path)/s must be yours alone; run: chmod 700 \(folder.path)/s")
        }
        let socket = try ListeningSocket(path: path)
        sockets[label] = socket
        announce.yield(Opened(label: label, socket: socket))
        return path
    }
}
