// SPDX-License-Identifier: MIT

private import Archive
private import Codecs
package import Descriptors
private import SystemPackage

/// The folder that receives, held open: everything below it is reached from this handle, component by component.
package struct Inbox: Sendable {
    package let path: String
    package let directory: Directory
    /// 16 random bytes, made with the inbox: a send is bound to them.
    package let identity: [UInt8]

    /// Why a folder cannot be an inbox, in a sentence for the user.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// Opens the inbox, making it with its parents if it is missing.
    ///
    /// Refuses `/`, the home folder, a folder whose path has a part that begins with a dot, and a symlink: what lands
    /// in such a place could be run or read by another program.
    package init(path: String) throws {
        (self.path, directory) = try Self.openChecked(path)
        identity = try Self.identity(in: directory)
    }

    private static func openChecked(_ path: String) throws -> (path: String, directory: Directory) {
        let absolute = try Self.absolute(path)
        try Self.make(absolute)
        let real = try ProcessContext.realPath(of: absolute)
        guard real != "/" else { throw Fault(description: "the inbox cannot be /; give another folder with --dir") }
        if let home = ProcessContext.environment("HOME"), let homePath = try? ProcessContext.realPath(of: home),
            real == homePath
        {
            throw Fault(description: "the inbox cannot be your home folder; give a folder below it with --dir")
        }
        guard !real.split(separator: "/").contains(where: { $0.hasPrefix(".") }) else {
            throw Fault(description: "the inbox cannot be in a hidden folder (\(real)); give another one with --dir")
        }
        return (absolute, try Self.open(absolute))
    }

    private init(path: String, directory: Directory, identity: [UInt8]) {
        self.path = path
        self.directory = directory
        self.identity = identity
    }

    /// The folder of one host: what its settings say, else `<label>/` for its own socket; made when it is missing.
    ///
    /// Throws where something that is no folder, or a symlink, has the name.
    package func folder(for gate: Gate, _ settings: Settings.Host) throws -> Inbox {
        if let chosen = settings.directory { return try folder(chosen: chosen) }
        guard case .host(let label) = gate else { return self }
        return Inbox(
            path: path + "/" + label.text,
            directory: try directory.openOrMakeDirectory(label.text),
            identity: identity
        )
    }

    /// The folder that a host's settings name, made when it is missing.
    func folder(chosen: String) throws -> Inbox {
        do {
            let (path, directory) = try Self.openChecked(chosen)
            return Inbox(path: path, directory: directory, identity: identity)
        } catch let error as SystemError {
            // Also what the worker's wall keeps it from: a folder that was not there, or another, when it started.
            throw Fault(description: "the folder \(chosen) cannot be used: \(error); then send the daemon SIGHUP")
        }
    }

    /// Throws where the path does not lead to the held folder any more: it was moved, removed or replaced.
    ///
    /// Writing on would be safe, and would put files where nobody looks for them.
    package func checkInPlace() throws {
        let isInPlace: Bool
        do throws(SystemError) {
            let standing = try Directory.open(path, followingLinks: false).status()
            isInPlace = standing.isSameFile(as: try directory.status())
        } catch {
            isInPlace = false
        }
        guard isInPlace else { throw Fault(description: "\(path) was moved or replaced; start the daemon again") }
    }

    private static func identity(in directory: Directory) throws -> [UInt8] {
        let name = ".rtun-inbox"
        if try directory.statusIfPresent(name) == nil {
            try directory.makeSmallFile(name, RandomBytes.make(16))
        }
        guard let identity = try directory.readSmallFile(name, atMost: 16), identity.count == 16 else {
            throw Fault(description: "\(name) in the inbox is damaged; remove it and start again")
        }
        return identity
    }

    private static func absolute(_ path: String) throws -> String {
        var path = path.hasPrefix("/") ? path : try ProcessContext.currentDirectory() + "/" + path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    private static func open(_ path: String) throws -> Directory {
        let failure: SystemError
        do throws(SystemError) {
            return try Directory.open(path, followingLinks: false)
        } catch {
            failure = error
        }
        switch failure.errno {
        case .tooManySymbolicLinkLevels, .notDirectory:
            throw Fault(description: "the inbox \(path) is a symlink or no folder; give the folder itself with --dir")
        default: throw failure
        }
    }

    private static func openIfPresent(_ path: String) throws(SystemError) -> Directory? {
        do throws(SystemError) {
            return try Directory.open(path)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }

    /// Makes a folder with its parents where it is missing.
    static func make(_ path: String) throws {
        // Behind the worker's wall what is above the folder cannot be opened, nor anything made there.
        guard try Self.openIfPresent(path) == nil else { return }
        var folder = try Directory.open("/")
        var names = path.split(separator: "/").map(String.init)[...]
        // What exists may be reached through symlinks of the user's own; what is made is a plain folder.
        var existing = ""
        while let name = names.first {
            guard let next = try Self.openIfPresent(existing + "/" + name) else { break }
            folder = next
            existing += "/" + name
            names.removeFirst()
        }
        for name in names {
            guard name != ".." else { throw Fault(description: "the inbox \(path) does not exist") }
            folder = try folder.openOrMakeDirectory(name)
        }
    }

    /// The default: `rtun` in the user's folder for downloads.
    package static func defaultPath() throws -> String {
        guard let home = ProcessContext.environment("HOME"), home.hasPrefix("/") else {
            throw Fault(description: "HOME does not say where your downloads are; give a folder with --dir")
        }
        return (downloads(home: home) ?? home + "/Downloads") + "/rtun"
    }

    /// `XDG_DOWNLOAD_DIR` from the environment or from `user-dirs.dirs` (xdg-user-dirs), where it is an absolute path.
    private static func downloads(home: String) -> String? {
        if let path = ProcessContext.environment("XDG_DOWNLOAD_DIR"), path.hasPrefix("/") { return path }
        let configuration = ProcessContext.environment("XDG_CONFIG_HOME") ?? home + "/.config"
        guard let folder = try? Directory.open(configuration),
            let bytes = try? folder.readSmallFile("user-dirs.dirs", atMost: 65_536),
            let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let key = "XDG_DOWNLOAD_DIR=\""
        for line in text.split(separator: "\n") where line.hasPrefix(key) && line.hasSuffix("\"") {
            let value = line.dropFirst(key.count).dropLast()
            if value.hasPrefix("$HOME/") { return home + value.dropFirst(5) }
            if value.hasPrefix("/") { return String(value) }
        }
        return nil
    }
}
