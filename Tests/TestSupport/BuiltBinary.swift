// SPDX-License-Identifier: MIT

internal import Foundation

/// The `rtun` that was built along with the tests.
package enum BuiltBinary {
    /// Its absolute path.
    ///
    /// `RTUN_BINARY` names another one; else it is the one in the nearest folder above the test bundle that has one.
    ///
    /// - Throws: `TestSupportFailure` when there is none.
    package static func path() throws -> String {
        if let named = ProcessInfo.processInfo.environment["RTUN_BINARY"], !named.isEmpty {
            guard access(named, X_OK) == 0 else {
                throw TestSupportFailure("RTUN_BINARY names \(named), which cannot be run")
            }
            return URL(fileURLWithPath: named).path
        }
        var folder = URL(fileURLWithPath: imagePath()).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent("rtun").path
            var isFolder: ObjCBool = false
            if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue,
                access(candidate, X_OK) == 0
            {
                return candidate
            }
            folder.deleteLastPathComponent()
        }
        throw TestSupportFailure("no rtun was built next to \(imagePath()); RTUN_BINARY can name one")
    }

    /// Runs it, and kills it when that takes longer than `timeout`.
    package static func run(
        _ arguments: [String],
        environment: [String: String],
        folder: String? = nil,
        input: ChildProcess.Input = .nothing,
        timeout: Duration = .seconds(60)
    ) async throws -> RunResult {
        try await ChildProcess.run(
            path(),
            arguments,
            environment: environment,
            folder: folder,
            input: input,
            timeout: timeout
        )
    }

    /// The file that this code was loaded from: the test bundle (macOS) or the test executable (Linux).
    private static func imagePath() -> String {
        #if os(Linux)
        if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            return path
        }
        #else
        var image = Dl_info()
        if dladdr(#dsohandle, &image) != 0, let name = image.dli_fname {
            return String(cString: name)
        }
        #endif
        return CommandLine.arguments[0]
    }
}
