// SPDX-License-Identifier: MIT

internal import Foundation

/// Programs that stand in for the desktop's own: each call is written down instead of being shown.
///
/// They are found by name in `folder`, which goes first in the daemon's `PATH`.
package final class RecordingDesktop: Sendable {
    /// One call of one of the programs.
    package struct Call: Sendable {
        /// The arguments, without the program's name.
        package let arguments: [String]
        /// What the file named by the last argument held at that moment; nil if it named none.
        package let contents: [UInt8]?
    }

    /// The folder that holds the programs.
    package let folder: String
    private let records: String

    /// Writes the programs into `folder`, and what they record into a folder beside it.
    package init(folder: String) throws {
        self.folder = folder
        records = folder + ".records"
        for path in [folder, records] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        for program in ["xdg-open", "open", "notify-send", "osascript"] {
            let script = """
                #!/bin/sh
                record='\(records)/\(program)'.$$
                last=
                for last do :; done
                if [ -f "$last" ]; then cp -- "$last" "$record.contents"; fi
                if [ $# -gt 0 ]; then printf '%s\\0' "$@" >"$record.part"; else : >"$record.part"; fi
                mv "$record.part" "$record.call"
                case "$1" in --print-id) echo 41 ;; esac

                """
            let path = "\(folder)/\(program)"
            try Data(script.utf8).write(to: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
    }

    /// The files that were given to `open` or `xdg-open`, in no order.
    package func opened() -> [Call] { calls(of: ["xdg-open", "open"]) }

    /// The notifications that were given to `notify-send` or `osascript`, in no order.
    package func notifications() -> [Call] { calls(of: ["notify-send", "osascript"]) }

    private func calls(of programs: [String]) -> [Call] {
        let files = FileManager.default
        let names = (try? files.contentsOfDirectory(atPath: records)) ?? []
        return names.sorted().compactMap { name in
            guard name.hasSuffix(".call"), programs.contains(where: { name.hasPrefix($0 + ".") }),
                let record = files.contents(atPath: "\(records)/\(name)")
            else { return nil }
            let arguments = record.split(separator: 0, omittingEmptySubsequences: false).dropLast()
            let contents = files.contents(atPath: "\(records)/\(name.dropLast(5)).contents")
            return Call(
                arguments: arguments.map { String(decoding: $0, as: UTF8.self) },
                contents: contents.map { [UInt8]($0) }
            )
        }
    }
}
