// SPDX-License-Identifier: MIT

import CLibFuzzer

/// `Fuzz NAME [libFuzzer's arguments]` runs one fuzzer; without a name it lists them.
@main
enum Main {
    static func main() {
        guard CommandLine.argc > 1, let fuzzer = Fuzzer(rawValue: CommandLine.arguments[1]) else {
            for fuzzer in Fuzzer.allCases { print(fuzzer.rawValue) }
            return
        }
        Fuzzer.running = fuzzer
        // libFuzzer starts this program again for its workers, so it keeps the name in front.
        var count = CommandLine.argc - 1
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
        _ = LLVMFuzzerRunDriver(&count, &arguments, testOneInput)
    }
}

/// libFuzzer's library asks for it under this name also where a program has a main of its own.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    Fuzzer.running.run(UnsafeBufferPointer(start: data, count: size))
    return 0
}

/// One thing that reads hostile bytes.
enum Fuzzer: String, CaseIterable {
    case frame, message, manifest, journal, name, line, extract

    /// Set once, before libFuzzer runs on this one thread.
    nonisolated(unsafe) static var running = Fuzzer.frame

    /// Reads one input; refusing it is well, crashing and breaking a promise are findings.
    func run(_ input: UnsafeBufferPointer<UInt8>) {
        let bytes = Array(input)
        switch self {
        case .frame: FrameFuzzer.run(bytes)
        case .message: MessageFuzzer.run(bytes)
        case .manifest: ManifestFuzzer.run(bytes)
        case .journal: JournalFuzzer.run(bytes)
        case .name: NameFuzzer.run(bytes)
        case .line: LineFuzzer.run(bytes)
        case .extract: ExtractFuzzer.run(bytes)
        }
    }
}
