// SPDX-License-Identifier: MIT

/// How a process ended, and all that it said.
package struct RunResult: Sendable, CustomStringConvertible {
    /// The command line, for messages.
    package let command: String
    /// The exit code; 128 + the signal's number where a signal ended it.
    package let status: Int32
    /// Whether it was killed because its time was over.
    package let timedOut: Bool
    /// Everything that it wrote to standard output.
    package let output: [UInt8]
    /// Everything that it wrote to standard error.
    package let errors: [UInt8]
    /// The most memory that it held at once, in bytes.
    ///
    /// Linux: `VmHWM`, read while the process runs, because `ru_maxrss` there includes the memory of the process that
    /// spawned it; zero if it ended before it could be asked. Elsewhere: `ru_maxrss`.
    package let peakMemory: Int
    /// From the start until the end was noticed, which takes at most a few milliseconds.
    package let duration: Duration

    /// Standard output as text.
    package var stdout: String { String(decoding: output, as: UTF8.self) }

    /// Standard error as text.
    package var stderr: String { String(decoding: errors, as: UTF8.self) }

    /// The lines of standard output, without the empty ones.
    package var outputLines: [Substring] { stdout.split(whereSeparator: \.isNewline) }

    package var description: String {
        """
        \(command)
        ended with \(status)\(timedOut ? " (killed: out of time)" : "") after \(duration)
        stdout: \(stdout)
        stderr: \(stderr)
        """
    }
}
