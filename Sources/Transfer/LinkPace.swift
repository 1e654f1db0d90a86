// SPDX-License-Identifier: MIT

private import Descriptors
import NIOCore

/// Writes to the connections of one link no faster than the receiver reads (`SendWindow`).
///
/// Frames go out in pieces as the window opens; where it is small, the frame that was begun first gets all of it. On the
/// control connection no other message comes between the pieces of a frame.
package actor LinkPace {
    private let control: SocketConnection
    private var window = SendWindow()
    /// Frames that are being written, in the order in which they were begun.
    private var turns: [Int] = []
    private var turnsSoFar = 0
    /// Bytes of frames that were begun and are not granted yet.
    private var unwritten = 0
    /// A writer may begin a frame, and has not yet.
    private var isBeginning = false
    /// A frame is in pieces on the control connection.
    private var holdsControl = false
    private var hasEnded = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(control: SocketConnection) {
        self.control = control
    }

    /// Waits until one more frame may be begun: there is room in the window for more than those that were begun want.
    ///
    /// What is not begun can still be made smaller, and needs no memory. One writer at a time goes on from here; the others
    /// wait until it writes, or passes.
    func waitToBegin() async {
        while !hasEnded, isBeginning || unwritten > 0 && unwritten >= window.room { await pause() }
        isBeginning = true
    }

    /// There is no frame to be begun.
    func pass() {
        isBeginning = false
        wake()
    }

    /// Writes a frame; throws when a connection or the link ends before it is written.
    func write(_ frame: ByteBuffer, on connection: SocketConnection) async throws {
        isBeginning = false
        let isControl = connection === control
        turnsSoFar += 1
        let turn = turnsSoFar
        turns.append(turn)
        if isControl { holdsControl = true }
        defer {
            turns.removeAll { $0 == turn }
            if isControl { holdsControl = false }
            wake()
        }
        var rest = frame
        unwritten += rest.readableBytes
        defer { unwritten -= rest.readableBytes }
        while rest.readableBytes > 0 {
            let count = try await room(for: rest.readableBytes, turn, isControl)
            guard let piece = rest.readSlice(length: count) else { return }
            unwritten -= count
            if rest.readableBytes == 0 { wake() }
            try await connection.send(piece)
        }
    }

    /// Writes any other message to the control connection, with `inWindow` as soon as there is room in the window.
    ///
    /// Does nothing once the link has ended.
    func say(_ message: ByteBuffer, inWindow: Bool) async throws {
        while !hasEnded, holdsControl || inWindow && window.room == 0 { await pause() }
        guard !hasEnded else { return }
        window.write(message.readableBytes, at: ProcessContext.monotonicNow)
        try await control.send(message)
    }

    /// Takes RECEIVED.
    func take(received bytes: UInt64) {
        window.take(received: bytes, at: ProcessContext.monotonicNow)
        wake()
    }

    /// Ends every wait, and returns when no frame is in pieces on the control connection: ABORT may stand behind it.
    func finish() async {
        hasEnded = true
        wake()
        while holdsControl { await pause() }
    }

    private func room(for count: Int, _ turn: Int, _ isControl: Bool) async throws -> Int {
        while !hasEnded {
            let granted = window.grant(count)
            if granted == count || granted > 0 && turns.first == turn {
                window.write(granted, at: ProcessContext.monotonicNow)
                return granted
            }
            await pause()
        }
        guard isControl else { throw TransferError.linkLost }
        return count
    }

    private func pause() async {
        await withCheckedContinuation { waiting.append($0) }
    }

    private func wake() {
        let woken = waiting
        waiting = []
        for continuation in woken { continuation.resume() }
    }
}
