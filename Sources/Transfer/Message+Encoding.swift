// SPDX-License-Identifier: MIT

private import Archive

extension Message {
    package var kind: MessageKind {
        switch self {
        case .hello: .hello
        case .welcome: .welcome
        case .refused: .refused
        case .echo: .echo
        case .echoed: .echoed
        case .notify: .notify
        case .notified: .notified
        case .open: .open
        case .opened: .opened
        case .attach: .attach
        case .attached: .attached
        case .forget: .forget
        case .forgotten: .forgotten
        case .commit: .commit
        case .have: .have
        case .received: .received
        case .durable: .durable
        case .reject: .reject
        case .committed: .committed
        case .heartbeat: .heartbeat
        case .abort: .abort
        }
    }

    /// The message's bytes: header and body.
    package func encode(to output: inout [UInt8]) {
        var body: [UInt8] = []
        encodeBody(to: &body)
        precondition(body.count <= kind.limit, "a message is built within its limit")
        output.append(u32: UInt32(body.count))
        output.append(kind.rawValue)
        output.append(contentsOf: [0, 0, 0])
        output.append(contentsOf: body)
    }

    private func encodeBody(to body: inout [UInt8]) {
        var fields = Fields()
        switch self {
        case .hello(let hello):
            fields.set(1, number: hello.version)
            fields.set(2, number: hello.codecs.rawValue)
            fields.set(3, text: hello.software)
            if let key = hello.sourceKey { fields.set(4, bytes: key) }
            fields.set(5, text: hello.hostName)
        case .welcome(let welcome):
            fields.set(1, number: welcome.version)
            fields.set(2, number: welcome.codecs.rawValue)
            fields.set(3, text: welcome.software)
            fields.set(4, bytes: welcome.inbox)
            fields.set(5, text: welcome.displayName)
            fields.set(6, text: welcome.label)
            fields.set(7, number: welcome.isKnown ? 1 : 0)
        case .refused(let abort), .abort(let abort):
            fields.set(1, number: UInt64(abort.code.rawValue))
            fields.set(2, text: abort.reason.cut(toBytes: 512))
            if let setting = abort.setting { fields.set(3, text: setting) }
        case .notify(let notice):
            fields.set(1, text: notice.title)
            fields.set(2, text: notice.body)
            fields.set(3, number: notice.urgency)
            if let id = notice.id { fields.set(4, text: id) }
            if let expiry = notice.expiry { fields.set(5, number: expiry) }
        case .notified(let outcome):
            fields.set(1, number: outcome.rawValue)
        case .open(let open):
            fields.set(1, bytes: open.transfer.bytes)
            fields.set(2, bytes: open.secret)
            fields.set(3, number: open.purpose.rawValue)
            for name in open.destination { fields.set(4, text: name.text) }
            if let request = open.request { fields.set(5, bytes: request) }
            if open.isAnew { fields.set(6, number: 1) }
            if let place = open.place { fields.set(7, bytes: place) }
            if open.isUpdate { fields.set(8, number: 1) }
            if let page = open.page { fields.set(9, text: page.text) }
            if open.conflict != .auto { fields.set(10, number: open.conflict.rawValue) }
        case .opened(let opened):
            fields.set(1, number: opened.epoch)
            fields.set(2, number: opened.credit)
            fields.set(3, number: opened.channels)
            if let taken = opened.taken {
                fields.set(4, number: taken.records)
                fields.set(5, number: taken.chunks)
            }
        case .attach(let attach):
            fields.set(1, bytes: attach.transfer.bytes)
            fields.set(2, bytes: attach.secret)
            fields.set(3, number: attach.epoch)
        case .reject(let rejection):
            fields.set(1, number: UInt64(rejection.entry))
            fields.set(2, number: UInt64(rejection.cause.rawValue))
            fields.set(3, text: rejection.path.cut(toBytes: 4_000))
        case .committed(let committed):
            for name in committed.names { fields.set(1, text: name) }
            fields.set(2, number: committed.files)
            fields.set(3, number: committed.bytes)
            fields.set(4, number: committed.view.rawValue)
            if let reason = committed.reason { fields.set(5, text: reason.cut(toBytes: 512)) }
            if let setting = committed.setting { fields.set(6, text: setting) }
            if committed.left > 0 { fields.set(7, number: committed.left) }
        case .echo(let bytes), .echoed(let bytes): body.append(contentsOf: bytes)
        case .commit(let commit):
            body.append(u64: commit.records)
            body.append(u64: commit.frames)
            body.append(digest: commit.manifest)
        case .have(let have):
            body.append(u64: have.answered)
            body.append(ranges: have.ranges)
        case .durable(let ranges): body.append(ranges: ranges)
        case .received(let received):
            body.append(u64: received.bytes)
            body.append(u64: received.records)
        case .forget(let request): fields.set(1, bytes: request)
        case .attached, .forgotten, .heartbeat: break
        }
        fields.encode(to: &body)
    }
}

extension [UInt8] {
    fileprivate mutating func append(ranges: [ClosedRange<UInt64>]) {
        for range in ranges {
            append(u64: range.lowerBound)
            append(u32: UInt32(range.count))
        }
    }
}

extension TransferID {
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(u64: rawValue)
        return bytes
    }
}

extension String {
    /// The longest beginning of at most `limit` bytes that does not cut a character.
    package func cut(toBytes limit: Int) -> String {
        var text = self
        while text.utf8.count > limit { text.removeLast() }
        return text
    }
}
