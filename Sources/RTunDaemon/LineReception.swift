// SPDX-License-Identifier: MIT

import Archive
private import Codecs
import Logging
private import NIOCore
import Transfer

/// Receives what SEND or VIEW of the line protocol announces (`docs/protocol.md` section 9.2).
struct LineReception: Sendable {
    let inbox: Inbox
    let delivery: Delivery
    let workshop: Workshop
    let logger: Logger
    /// Opens the account of what is staged under a name; blocks.
    let openSpace: @Sendable (String) throws -> SpaceLedger.Reservation

    /// Says READY, takes the bytes, and returns what the client is told last.
    ///
    /// Throws where the connection is lost in between.
    func receive(_ transfer: OriginalTransfer, _ stream: inout MessageStream) async throws -> OriginalReply {
        let (inbox, openSpace) = (inbox, openSpace)
        let file: IncomingFile
        do {
            file = try await workshop.run { try IncomingFile(transfer, in: inbox, openSpace) }
        } catch {
            return .notTaken(reason(error))
        }
        do {
            let reply = try await receive(transfer, file, &stream)
            await discard(file)
            return reply
        } catch {
            await discard(file)
            throw error
        }
    }

    private func receive(
        _ transfer: OriginalTransfer,
        _ file: IncomingFile,
        _ stream: inout MessageStream
    ) async throws -> OriginalReply {
        try await stream.connection.send(ByteBuffer(bytes: OriginalReply.ready.bytes))
        while file.receivedBytes < file.size {
            let timer = stream.connection.deadline(in: LineDialogue.idleSeconds)
            defer { timer.cancel() }
            guard let bytes = try await stream.nextBytes(atMost: file.room) else {
                return .short(expected: file.size, got: file.receivedBytes)
            }
            file.take(bytes)
            guard file.isChunkComplete else { continue }
            do {
                try await workshop.run { try file.write() }
            } catch {
                return .failed(reason(error))
            }
        }
        let timer = stream.connection.deadline(in: LineDialogue.idleSeconds)
        defer { timer.cancel() }
        let said: [UInt8]
        do {
            said = try await stream.nextLine(atMost: LineDialogue.lineBytes) ?? []
        } catch is FormatError {
            // No digest is so long.
            said = []
        }
        timer.cancel()
        do {
            let digest = try await workshop.run { try file.finish() }
            guard said.elementsEqual(digest.description.utf8) else {
                return .mismatch(said: said, digest: digest.description)
            }
            return try await publish(transfer, file, digest)
        } catch {
            return .failed(reason(error))
        }
    }

    private func publish(
        _ transfer: OriginalTransfer,
        _ file: IncomingFile,
        _ digest: Digest
    ) async throws -> OriginalReply {
        let index = file.index
        let staging = file.staging
        let committed: Committed
        // A client of the original says neither who it is nor which transfer this is: nobody asks for it again.
        let head = PublicationHead(
            source: "",
            transfer: .random(in: .min ... .max),
            secret: digest,
            destination: transfer.folders
        )
        if transfer.isView {
            committed = try await delivery.view(index, staging, as: head, recall: nil, page: nil, isUpdate: false)
        } else {
            committed = try await delivery.deliver(index, staging, as: head, recall: nil)
        }
        logger.info(
            "received by the original's protocol",
            metadata: [
                "names": "\(committed.names.joined(separator: ", "))", "bytes": "\(file.size)",
                "\(LogFile.peerKey)": "-",
            ]
        )
        file.space.close(staysOnDisk: true)
        guard transfer.isView, committed.view != .opened else { return .done }
        return .notOpened(committed.reason ?? "the laptop could not open it")
    }

    private func discard(_ file: IncomingFile) async {
        let staging = file.staging
        defer { file.space.close(staysOnDisk: false) }
        do {
            try await workshop.run { try staging.remove() }
        } catch {
            logger.error("a staging folder could not be removed: \(error)")
        }
    }

    /// What the client is told of a failure; the log is told all of it.
    private func reason(_ error: any Error) -> String {
        logger.warning("a file of the original's protocol failed: \(error)", metadata: ["\(LogFile.peerKey)": "-"])
        return switch error {
        case let error as StagingError: Abort(error).reason
        case TransferError.local(let abort), let abort as Abort:
            abort.setting.map { "\(abort.reason) (setting on the laptop: \($0))" } ?? abort.reason
        case is IncomingFile.Refused: "the laptop's file system does not take the name"
        default: "the laptop's daemon failed"
        }
    }
}
