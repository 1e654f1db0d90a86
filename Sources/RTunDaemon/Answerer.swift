// SPDX-License-Identifier: MIT

import NIOCore
import Transfer

/// Says WELCOME and the answer to the first request in one piece, or the answer alone if WELCOME is out.
struct Answerer {
    let connection: SocketConnection
    let welcome: Welcome
    private var isWelcomed = false

    init(connection: SocketConnection, welcome: Welcome) {
        self.connection = connection
        self.welcome = welcome
    }

    mutating func welcomeAlone() async throws {
        isWelcomed = true
        try await connection.send(ByteBuffer(bytes: Greeting.answer([.welcome(welcome)])))
    }

    mutating func answer(_ message: Message) async throws {
        if isWelcomed {
            try await connection.send(message)
        } else {
            isWelcomed = true
            try await connection.send(ByteBuffer(bytes: Greeting.answer([.welcome(welcome), message])))
        }
    }
}
