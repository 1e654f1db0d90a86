// SPDX-License-Identifier: MIT

import ArgumentParser
import Descriptors
import RTunDaemon
import Transfer

/// `rtun doctor`: checks each link of the chain, and ends with the first thing to do.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check each link between this machine and the other, and say what to mend first.",
        discussion: """
            On a laptop: folder, daemon, inbox (by writing into it), disk, ssh and desktop; with a HOST also the login, \
            the account there, its program, the forwarding, and a ping from there through the tunnel. On a server: \
            folder, sockets and who answers.

            Exit codes: 0 everything works; 1 something does not; 64 usage.
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "A server to log in to, with options of ssh before it.")
    var words: [String] = []

    func run() async throws {
        if words == ["--help"] || words == ["-h"] { throw CleanExit.helpRequest(self) }
        try await Client.run {
            var findings = Findings()
            do {
                let folder = try StateFolder()
                findings.good("folder", folder.path)
                let isLaptop = try await LaptopDaemon(folder: folder).ask("STATUS") != nil
                if words.isEmpty, !isLaptop, ProcessContext.environment("SSH_CONNECTION") != nil {
                    try await ServerCheckup(folder: folder).run(&findings)
                } else {
                    try await LaptopCheckup(folder: folder).run(&findings)
                    if !words.isEmpty { try await HostCheckup(folder: folder, words: words).run(&findings) }
                }
            } catch let error as StateFolder.Fault {
                findings.bad("folder", error.description, advice: error.description)
            }
            findings.conclude()
            return findings.isWell ? .success : .failure
        }
    }
}
