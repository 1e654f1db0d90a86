// SPDX-License-Identifier: MIT

internal import Foundation

/// A folder of one test, private to this user, and removed with everything in it at the end.
package final class ScratchFolder: Sendable {
    /// The absolute path, without a slash at the end.
    package let path: String

    /// Makes a folder in `$TMPDIR`, else in `/tmp`, whose name begins with the label.
    package init(_ label: String = "scratch") {
        let variable = ProcessInfo.processInfo.environment["TMPDIR"] ?? ""
        var parent = variable.isEmpty ? "/tmp" : variable
        while parent.count > 1, parent.hasSuffix("/") {
            parent.removeLast()
        }
        // Short, because UNIX sockets live in it and their paths may have 103 bytes.
        let suffix = String(UInt64.random(in: .min ... .max), radix: 36)
        path = "\(parent)/\(label)-\(suffix)"
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            fatalError("no scratch folder at \(path): \(error)")
        }
    }

    deinit {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            makeRemovable()
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    /// Gives back the permissions that a test took away from folders.
    private func makeRemovable() {
        let files = FileManager.default
        var waiting = [path]
        while let folder = waiting.popLast() {
            try? files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder)
            for name in (try? files.contentsOfDirectory(atPath: folder)) ?? [] {
                let child = "\(folder)/\(name)"
                let kind = (try? files.attributesOfItem(atPath: child))?[.type] as? FileAttributeType
                if kind == .typeDirectory {
                    waiting.append(child)
                }
            }
        }
    }
}
