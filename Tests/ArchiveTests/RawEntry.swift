// SPDX-License-Identifier: MIT

import Archive

/// The fields of an ENTRY as numbers of any size, encoded without the checks of the real encoder.
struct RawEntry {
    var number: UInt64 = 3
    var kind: UInt8 = 1
    var flags: UInt8 = 0
    var parent: UInt64 = 0
    var name = Array("name".utf8)
    var mode: UInt64 = 0o644
    var seconds: UInt64 = 0
    var nanoseconds: UInt64 = 0
    /// Size, target or linkTo.
    var tail: [UInt8] = []

    var bytes: [UInt8] { rawRecord(2, body) }

    var body: [UInt8] {
        var body: [UInt8] = []
        body.append(varint: number)
        body += [kind, flags]
        body.append(varint: parent)
        body.append(byteString: name)
        body.append(varint: mode)
        body.append(varint: seconds)
        body.append(varint: nanoseconds)
        return body + tail
    }
}

/// A record of any type and body.
func rawRecord(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
    var bytes = [type]
    bytes.append(byteString: body)
    return bytes
}

func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(varint: value)
    return bytes
}
