// SPDX-License-Identifier: MIT

internal import Foundation

/// One call of `posix_spawn`: the child gets three descriptors and nothing else of this process.
struct Spawn {
    let executable: String
    let arguments: [String]
    let environment: [String: String]
    let folder: String?
    /// What becomes standard input, output and error.
    let descriptors: [Int32]
    /// Whether it begins a session without a terminal.
    var leadsSession = false

    /// `POSIX_SPAWN_SETSID`, which glibc's module does not show to Swift.
    #if canImport(Darwin)
    private static let newSession: Int16 = 0x400
    #else
    private static let newSession: Int16 = 0x80
    #endif

    /// Starts the child, and returns its process number.
    func start() throws -> Int32 {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_CLOEXEC_DEFAULT
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }

        for (number, descriptor) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        // The tests ignore SIGPIPE, and ignored signals stay ignored in the child if nobody says otherwise.
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(flags) | (leadsSession ? Self.newSession : 0))

        var commandLine = [executable] + arguments
        if let folder {
            // glibc's action that changes the folder is not visible to Swift.
            commandLine = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", folder] + commandLine
        }
        let words = commandLine.map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer {
            for pointer in words + variables { free(pointer) }
        }
        var identifier: pid_t = 0
        let failure = posix_spawn(&identifier, commandLine[0], &actions, &attributes, words + [nil], variables + [nil])
        guard failure == 0 else {
            throw TestSupportFailure("\(executable) cannot be started: \(String(cString: strerror(failure)))")
        }
        return identifier
    }
}
