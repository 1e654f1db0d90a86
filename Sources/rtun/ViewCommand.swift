// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Codecs
import Descriptors
import Transfer

/// `rtun view`: files opened on the laptop's screen.
struct ViewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "view",
        abstract: "Open files on your computer.",
        discussion: """
            Pictures, PDF, CSV, JSON and text are opened in your own application; everything else is saved to the inbox \
            and not opened (exit code 6). The same file viewed again takes its own place, so a program that watches its \
            file shows the new one; --follow does that whenever the file changes, until Ctrl-C. A web page is opened \
            once your computer allows it ("html" for this host, in its config.toml), with the files beside it that it \
            names: scripts, style sheets, pictures and pages in or below its own folder.


            """ + ExitStatus.help,
        aliases: ["open"]
    )

    @OptionGroup var client: ClientOptions
    @OptionGroup var transfer: TransferOptions

    @Flag(name: .shortAndLong, help: "Show each file again whenever it changes.")
    var follow = false

    @Option(help: "The name of what comes from standard input.")
    var name: String?

    @Argument(help: "Files; - is standard input.")
    var files: [String] = []

    mutating func validate() throws {
        files = transfer.takeWordBehindWait() + files
        if files.isEmpty { throw ValidationError("name what is to be viewed") }
        guard !follow || !files.contains("-") else { throw ValidationError("standard input cannot be followed") }
    }

    func run() async throws {
        try await Client.run {
            let client = Client(client, codecs: transfer.codecSet, sourceKey: (try? StateFolder())?.sourceKey())
            let sources = try files.map {
                try SourceArguments(
                    paths: [$0],
                    recursive: false,
                    streamName: name,
                    newName: nil,
                    folderAdvice: "view shows files; to send it: rtun send -r"
                )
            }
            let views = zip(files, sources).map { FileView(path: $0, source: $1, client: client, options: transfer) }
            // From here on: what changes while the first ones are sent is seen.
            let watches = follow ? views.compactMap { $0.watch() } : []
            var status = ExitStatus.success
            for view in views { status = max(status, try await view.show()) }
            guard follow, !watches.isEmpty, status == .success else { return status }
            return try await FollowRun(watches: watches).run()
        }
    }
}
