// SPDX-License-Identifier: MIT

private import TOMLKit

extension Settings {
    /// Reads a configuration; every key is known, or it is a fault that names line and key.
    ///
    /// `home` stands for `~` in paths.
    package init(toml text: String, home: String) throws(SettingsFault) {
        self.init()
        let section = try Section(parsing: text, home: home)
        try section.refuseAllBut(["name", "inbox", "limits", "host"])
        name = try section.text("name", atMost: 64) ?? name
        inbox = try section.path("inbox")
        if let table = try section.section("limits") {
            try table.refuseAllBut(["transfer", "inbox", "floor"])
            limits.transfer = try table.bytes("transfer")
            limits.inbox = try table.bytes("inbox")
            limits.floor = try table.bytes("floor")
        }
        guard let sections = try section.section("host") else { return }
        for name in sections.keys {
            guard name == HostLabel.plainName || HostLabel(name) != nil else {
                throw sections.fault(name, "a label is \(HostLabel.rule)")
            }
            guard let table = try sections.section(name) else { continue }
            try table.refuseAllBut(["dir", "quota", "view", "notify", "arrivals"])
            var host = Host()
            host.directory = try table.path("dir")
            host.quota = try table.bytes("quota")
            host.viewTypes = try table.viewTypes("view") ?? host.viewTypes
            host.notify = try table.flag("notify") ?? host.notify
            host.arrivals = try table.flag("arrivals") ?? host.arrivals
            set(host, for: name)
        }
    }
}

/// One table of the file, and where it stands in it.
private struct Section {
    private let table: TOMLTable
    private let path: [String]
    private let text: String
    private let home: String

    init(parsing text: String, home: String) throws(SettingsFault) {
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw SettingsFault(line: error.source.begin.line, reason: error.description)
        } catch {
            throw SettingsFault(reason: "\(error)")
        }
        path = []
        self.text = text
        self.home = home
    }

    private init(_ table: TOMLTable, in parent: Section, named name: String) {
        self.table = table
        path = parent.path + [name]
        text = parent.text
        home = parent.home
    }

    var keys: [String] { table.keys.sorted() }

    func fault(_ key: String, _ reason: String) -> SettingsFault {
        let path = path + [key]
        return SettingsFault(
            line: SettingLocator(text).line(of: path),
            key: path.joined(separator: "."),
            reason: reason
        )
    }

    func refuseAllBut(_ known: [String]) throws(SettingsFault) {
        for key in keys where !known.contains(key) {
            let suggestion = known.nearest(to: key).map { "; did you mean \($0)?" } ?? ""
            throw fault(key, "there is no such setting\(suggestion)")
        }
    }

    func section(_ key: String) throws(SettingsFault) -> Section? {
        guard let value = table[key] else { return nil }
        guard let table = value.table else {
            throw fault(key, "this is a section, [\((path + [key]).joined(separator: "."))]")
        }
        return Section(table, in: self, named: key)
    }

    func flag(_ key: String) throws(SettingsFault) -> Bool? {
        guard let value = table[key] else { return nil }
        guard let flag = value.bool else { throw fault(key, "this is true or false") }
        return flag
    }

    func text(_ key: String, atMost limit: Int) throws(SettingsFault) -> String? {
        guard let value = table[key] else { return nil }
        guard let text = value.string, (1...limit).contains(text.utf8.count), !text.utf8.contains(0) else {
            throw fault(key, "this is text of 1 to \(limit) bytes")
        }
        return text
    }

    /// An absolute path; a leading `~/` is the home folder.
    func path(_ key: String) throws(SettingsFault) -> String? {
        guard var path = try text(key, atMost: 1024) else { return nil }
        if path.hasPrefix("~/"), home.hasPrefix("/") { path = home + path.dropFirst(1) }
        guard path.hasPrefix("/") else { throw fault(key, "this is an absolute path, or one that begins with ~/") }
        return path
    }

    /// A number of bytes, or text such as `"50 GiB"`.
    func bytes(_ key: String) throws(SettingsFault) -> UInt64? {
        guard let value = table[key] else { return nil }
        if let number = value.int, number >= 0 { return UInt64(number) }
        guard let text = value.string, let amount = ByteAmount(text) else {
            throw fault(key, "this is an amount of bytes such as \"500 MiB\" or \"50 GiB\"")
        }
        return amount.bytes
    }

    /// Extensions of files; `"default"` stands for those that are opened without a setting.
    func viewTypes(_ key: String) throws(SettingsFault) -> Set<ViewType>? {
        guard let value = table[key] else { return nil }
        guard let array = value.array else { throw fault(key, "this is a list such as [\"default\", \"html\"]") }
        var types: Set<ViewType> = []
        for item in array {
            guard let name = item.string?.lowercased() else {
                throw fault(key, "this is a list of extensions in quotes")
            }
            if name == "default" {
                types.formUnion(ViewType.allowedByDefault)
            } else if let type = ViewType(fileExtension: name) {
                types.insert(type)
            } else if ViewType.neverOpened.contains(name) {
                throw fault(key, "files of type \(name) can run, and are never opened")
            } else {
                let suggestion = ViewType.allCases.map { $0.fileExtension }.nearest(to: name)
                throw fault(
                    key,
                    "no file of type \(name) can be opened" + (suggestion.map { "; did you mean \($0)?" } ?? "")
                )
            }
        }
        return types
    }
}
