// SPDX-License-Identifier: MIT

private import Archive
private import Descriptors
private import Synchronization
private import SystemPackage

/// What is wrong with the configuration, and where; the words are those of the file, to be made safe by who prints them.
package struct SettingsFault: Error, Equatable, CustomStringConvertible {
    package var path: String?
    package var line: Int?
    /// As it would be written with dots: `host.gpu01.quota`.
    package var key: String?
    package var reason: String

    package var description: String {
        var parts = [path ?? "config.toml"]
        if let line { parts.append("line \(line)") }
        if let key { parts.append(key) }
        return (parts + [reason]).joined(separator: ": ")
    }
}

/// `$XDG_CONFIG_HOME/rtun/config.toml`, which need not exist.
package struct SettingsFile: Sendable {
    /// Bytes of a configuration that is still read.
    private static let limit = 256 << 10

    package let path: String?
    private let home: String

    /// The user's own file, by the environment of this process.
    package init() {
        home = ProcessContext.environment("HOME") ?? ""
        let folder = ProcessContext.environment("XDG_CONFIG_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
        path = (folder ?? (home.hasPrefix("/") ? home + "/.config" : nil)).map { $0 + "/rtun/config.toml" }
    }

    /// What has to be readable for `read`: its folder, made if it is missing, so that a file can appear there, and the
    /// file itself where it is a link to another place.
    package var places: [String] {
        guard let path else { return [] }
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        // Without the folder the defaults hold until the next start.
        try? Inbox.make(folder)
        return [folder] + ((try? ProcessContext.realPath(of: path)).map { [$0] } ?? [])
    }

    /// Reads it; without a file the defaults.
    package func read() throws(SettingsFault) -> Settings {
        guard let path, let text = try text(at: path) else { return Settings() }
        do throws(SettingsFault) {
            return try Settings(toml: text, home: home)
        } catch {
            var fault = error
            fault.path = path
            throw fault
        }
    }

    private func text(at path: String) throws(SettingsFault) -> String? {
        let bytes: [UInt8]
        do throws(SystemError) {
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            let folder = try Directory.open(String(path[..<slash]))
            // A link is the user's own: dot files are kept so.
            let file = try folder.openFile(String(path[path.index(after: slash)...]), followingLink: true)
            let slab = try Slab(capacity: Self.limit + 1)
            let count = try slab.withMutableBytes(0..<slab.capacity) {
                (span: inout MutableRawSpan) throws(SystemError) in try file.read(into: &span, at: 0)
            }
            bytes = slab.withBytes(0..<count) { $0.copy }
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw SettingsFault(path: path, reason: error.description)
        }
        guard bytes.count <= Self.limit else {
            throw SettingsFault(path: path, reason: "it has more than \(Self.limit >> 10) KiB")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsFault(path: path, reason: "it is not valid UTF-8")
        }
        return text
    }
}

/// The settings that hold now; SIGHUP replaces them.
package final class CurrentSettings: Sendable {
    private let file: SettingsFile
    private let settings: Mutex<Settings>

    package init(_ file: SettingsFile) throws(SettingsFault) {
        self.file = file
        settings = Mutex(try file.read())
    }

    package var value: Settings { settings.withLock { $0 } }

    /// Reads the file again; where it has a fault, what held before goes on to hold.
    package func reload() throws(SettingsFault) {
        let new = try file.read()
        settings.withLock { $0 = new }
    }
}
