// SPDX-License-Identifier: MIT

import Archive
import Descriptors

/// Puts the ciphers first that this machine has instructions for.
///
/// A tunnel's cipher takes more of both ends' time than anything rtun does. OpenSSH prefers chacha20-poly1305, which is
/// computed; AES-GCM takes half of its time where the processor knows AES. Nothing is added to what the user and the
/// configuration allow, only the order changes, and the server still has the last word.
enum CipherOrder {
    private static let preferred = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]
    private static let askingSeconds: Int64 = 10

    /// Options for ssh's command line; none where there is nothing to gain or the user has chosen a cipher.
    static func options(_ ssh: Program, _ arguments: SSHArguments) async throws -> [String] {
        guard !arguments.choosesCiphers, hasAES else { return [] }
        // What a configuration cannot say, ssh says when it connects.
        let told = try await ssh.capture(
            arguments.words(without: "DLMNRSTWfnstv") + ["-G", "--", arguments.destination],
            within: askingSeconds
        )
        guard told.status == 0, let ciphers = reordered(told.text) else { return [] }
        return ["-o", "Ciphers=\(ciphers)"]
    }

    /// The list of `ssh -G` in the better order; nil where it is in that order, or says nothing.
    static func reordered(_ configuration: String) -> String? {
        let line = configuration.split(separator: "\n").first { $0.hasPrefix("ciphers ") }
        guard let listed = line?.dropFirst("ciphers ".count).split(separator: ",").map(String.init) else { return nil }
        let better = preferred.filter(listed.contains) + listed.filter { !preferred.contains($0) }
        return better == listed ? nil : better.joined(separator: ",")
    }

    /// Whether the processor computes AES by itself; every Mac does on which this runs.
    private static var hasAES: Bool {
        #if canImport(Darwin)
        true
        #else
        guard let folder = try? Directory.open("/proc"),
            let bytes = try? folder.readSmallFile("cpuinfo", atMost: 4 << 20)
        else { return false }
        return hasAES(processors: String(decoding: bytes, as: UTF8.self))
        #endif
    }

    /// `processors` is the text of `/proc/cpuinfo`: a line `flags` (x86) or `Features` (ARM) for each.
    static func hasAES(processors: String) -> Bool {
        let line = processors.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
        return line?.split(whereSeparator: { " \t:".contains($0) }).contains("aes") ?? false
    }
}
