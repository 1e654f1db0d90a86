// SPDX-License-Identifier: MIT

import Descriptors
import SystemPackage
import Testing

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// The error number that the call throws, nil when it succeeds.
func failure(_ body: () throws -> Void) -> Errno? {
    do {
        try body()
    } catch let error as SystemError {
        return error.errno
    } catch {
        Issue.record(error)
    }
    return nil
}

/// The resource of `getrlimit` that counts open descriptors.
#if canImport(Darwin)
let openFiles = RLIMIT_NOFILE
#else
let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
#endif

extension OwnedDescriptor {
    /// Writes a text at an offset.
    func write(_ text: String, at offset: Int64) throws {
        try Array(text.utf8).withUnsafeBytes { try writeAll($0.bytes, at: offset) }
    }

    /// Writes a text at the file position.
    func append(_ text: String) throws {
        try Array(text.utf8).withUnsafeBytes { try writeAll($0.bytes) }
    }

    /// Reads up to `count` bytes at an offset.
    func bytes(_ count: Int, at offset: Int64) throws -> [UInt8] {
        let slab = try Slab(capacity: max(count, 1))
        let found = try slab.withMutableBytes(0..<count) { (span) throws(SystemError) in
            try read(into: &span, at: offset)
        }
        return slab.withBytes(0..<found) { span in span.withUnsafeBytes { Array($0) } }
    }

    /// Reads what is there, up to `count` bytes.
    func someBytes(_ count: Int) throws(SystemError) -> [UInt8] {
        let slab = try Slab(capacity: count)
        let found = try slab.withMutableBytes(0..<count) { (span) throws(SystemError) in
            try readSome(into: &span)
        }
        return slab.withBytes(0..<found) { span in span.withUnsafeBytes { Array($0) } }
    }

    /// The whole content of a file as text.
    func text() throws -> String {
        String(decoding: try bytes(Int(try status().size), at: 0), as: UTF8.self)
    }
}
