// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Descriptors

/// What the user named, opened and checked before anything is sent.
struct SourceArguments {
    private(set) var sources: [Source] = []
    /// Names that were changed because two sources have the same one: shown before sending.
    private(set) var renamed: [(path: String, name: String)] = []
    /// `-` was named: standard input under this name.
    private(set) var streamName: EntryName?

    /// A sentence for the user and the exit code that goes with it.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// Resolves every path; the first that cannot be sent ends the command before a byte has gone.
    ///
    /// With `leaveOut` what is not there is told and left out instead; `folderAdvice` is what to do with a folder
    /// where folders are not meant.
    init(
        paths: [String],
        recursive: Bool,
        streamName: String?,
        newName: EntryName?,
        folderAdvice: String = "send it with -r",
        leaveOut: ((_ path: String, _ fault: Fault) -> Void)? = nil
    ) throws {
        var taken: Set<EntryName> = []
        // A list may name many files of few folders: each folder is held once.
        var folders: [String: Directory] = [:]
        for (position, path) in paths.enumerated() {
            if path == "-" {
                guard self.streamName == nil else { throw ValidationError("- can be given once") }
                guard let streamName else { throw ValidationError("- needs a name: give --name NAME") }
                let name = try Self.name(newName?.text ?? streamName, for: "--name")
                self.streamName = try free(name, &taken, path: path, isFolder: false)
                continue
            }
            guard !path.isEmpty else { throw ValidationError("an empty path was given") }
            let (folderPath, name) = try Self.split(path)
            let folder: Directory
            let status: FileStatus
            do throws(SystemError) {
                if let held = folders[folderPath] {
                    folder = held
                } else {
                    folder = try Directory.open(folderPath.isEmpty ? "." : folderPath)
                    folders[folderPath] = folder
                }
                status = try folder.status(name, followingLink: true)
            } catch {
                if let leaveOut, error.isMissingFile {
                    leaveOut(path, Self.missing(path, error, isLast: false))
                    continue
                }
                throw Self.missing(path, error, isLast: position > 0 && position == paths.count - 1)
            }
            if status.kind == .directory, !recursive {
                throw ValidationError("\(safe(path)) is a folder; \(folderAdvice)")
            }
            guard status.kind == .directory || status.kind == .file else {
                throw Fault(description: "\(safe(path)) is neither a file nor a folder")
            }
            let wanted = try newName ?? Self.name(name, for: path)
            let final = try free(wanted, &taken, path: path, isFolder: status.kind == .directory)
            sources.append(Source(folder: folder, name: name, topLevelName: final, folderPath: folderPath))
        }
    }

    /// The name, or `name (2)` and so on where another source has it.
    private mutating func free(
        _ name: EntryName,
        _ taken: inout Set<EntryName>,
        path: String,
        isFolder: Bool
    ) throws -> EntryName {
        var candidate = name
        var number = 2
        while !taken.insert(candidate).inserted {
            candidate = try EntryName(
                validating: Publication.numbered(name.text, number, isFolder: isFolder).utf8
            )
            number += 1
        }
        if candidate != name { renamed.append((path, candidate.text)) }
        return candidate
    }

    /// Folder and last name of a path; `.`, `..` and what ends in them take those of the real path.
    private static func split(_ path: String) throws -> (folder: String, name: String) {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        let slash = trimmed.lastIndex(of: "/")
        let last = slash.map { trimmed[trimmed.index(after: $0)...] } ?? trimmed
        guard last.isEmpty || last == "." || last == ".." else {
            return (slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "", String(last))
        }
        let real: String
        do throws(SystemError) {
            real = try ProcessContext.realPath(of: path)
        } catch {
            throw missing(path, error, isLast: false)
        }
        guard let separator = real.lastIndex(of: "/"), real.count > 1 else {
            throw Fault(description: "/ has no name; send what is in it: rtun send -r /*")
        }
        let folder = real[..<separator]
        return (folder.isEmpty ? "/" : String(folder), String(real[real.index(after: separator)...]))
    }

    private static func name(_ text: String, for path: String) throws -> EntryName {
        do throws(EntryName.Fault) {
            let name = try EntryName(validating: text.utf8)
            guard !name.isReserved else { throw .reserved }
            return name
        } catch {
            throw Fault(description: "\(safe(path)) cannot be sent: \(error.rawValue)")
        }
    }

    private static func missing(_ path: String, _ error: SystemError, isLast: Bool) -> Fault {
        var text = "\(safe(path)): \(error.reasonText)"
        if isLast, error.isMissingFile {
            text += "\nThe original rtun took the last argument as the destination; here every argument is a source, "
            text += "and a destination is given with -o"
        }
        return Fault(description: text)
    }
}

/// `-o`: a folder below the inbox, and a new name for a single source.
struct Destination {
    private(set) var folders: [EntryName] = []
    private(set) var newName: EntryName?

    init(_ option: String?, sourceCount: Int) throws {
        guard let option else { return }
        guard !option.hasPrefix("/") else {
            throw ValidationError("-o names a place below the inbox, so it does not begin with /")
        }
        var names: [EntryName] = []
        for part in option.split(separator: "/", omittingEmptySubsequences: true) where part != "." {
            do throws(EntryName.Fault) {
                names.append(try EntryName(validating: part.utf8))
            } catch {
                throw ValidationError("-o \(safe(option)): \(error.rawValue)")
            }
        }
        guard names.first?.isReserved != true else {
            throw ValidationError("-o \(safe(option)): \(EntryName.Fault.reserved.rawValue)")
        }
        if sourceCount == 1, !option.hasSuffix("/"), option != ".", let last = names.popLast() { newName = last }
        folders = names
    }
}
