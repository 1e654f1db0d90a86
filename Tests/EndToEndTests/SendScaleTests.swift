// SPDX-License-Identifier: MIT

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Very many, very deep, very large.
    @Suite("Sending at scale", .daemon)
    struct SendScaleTests {
        private let daemon: DaemonUnderTest
        private let source = ScratchFolder("scale")

        init() throws {
            daemon = try #require(EndToEnd.daemon)
        }

        private func send(_ arguments: String...) async throws -> RunResult {
            try await BuiltBinary.run(
                ["send", "-r"] + arguments,
                environment: daemon.serverEnvironment,
                folder: source.path,
                timeout: .seconds(200)
            )
        }

        @Test("Ten thousand small files")
        func manyFiles() async throws {
            for folder in 0..<100 {
                try TreeMaker.folder("\(source.path)/many/\(folder)")
                for file in 0..<100 {
                    try Data("\(folder) \(file)\n".utf8)
                        .write(to: URL(fileURLWithPath: "\(source.path)/many/\(folder)/\(file)"))
                }
            }
            let result = try await send("many")
            #expect(result.status == 0, "\(result)")
            let differences = try await TreeComparison.differences("\(source.path)/many", "\(daemon.inbox)/many")
            #expect(differences == [])
        }

        @Test("A hundred folders inside each other")
        func deep() async throws {
            let path = (0..<100).map { "d\($0)" }.joined(separator: "/")
            try TreeMaker.write("deep\n", to: "\(source.path)/deep/\(path)/file")
            let result = try await send("deep")
            #expect(result.status == 0, "\(result)")
            let differences = try await TreeComparison.differences("\(source.path)/deep", "\(daemon.inbox)/deep")
            #expect(differences == [])
        }

        @Test("Two gigabytes of almost nothing stay almost nothing")
        func sparse() async throws {
            let size: Int64 = 2 << 30 + 1
            let offsets: [Int64] = [0, 1 << 30 + 5, size - 40]
            try TreeMaker.writeSparse(to: "\(source.path)/sparse.img", size: size, dataAt: offsets)
            let result = try await send("sparse.img")
            #expect(result.status == 0, "\(result)")
            let arrived = daemon.inbox + "/sparse.img"
            #expect(TreeComparison.attributeDifferences("\(source.path)/sparse.img", arrived) == [])
            let file = try #require(FileHandle(forReadingAtPath: arrived))
            for offset in offsets {
                try file.seek(toOffset: UInt64(offset))
                let expected = Data("data at \(offset)".utf8)
                #expect(try file.read(upToCount: expected.count) == expected)
            }
        }

        @Test("Files at the edge of a chunk arrive whole", arguments: [-1, 0, 1])
        func chunkEdge(_ difference: Int) async throws {
            let name = "edge \(difference).bin"
            var maker = TreeMaker(seed: 4)
            try maker.writeFile("\(source.path)/\(name)", size: TreeMaker.chunk + difference)
            let result = try await send(name)
            #expect(result.status == 0, "\(result)")
            let differences = try await TreeComparison.differences("\(source.path)/\(name)", "\(daemon.inbox)/\(name)")
            #expect(differences == [])
        }

        #if os(Linux)
        @Test("Neither side holds more than 128 MiB, however large the file")
        func memory() async throws {
            var generator = SeededGenerator(seed: 5)
            let block = Data(generator.bytes(1 << 20))
            try TreeMaker.write([], to: "\(source.path)/large.bin")
            let file = try #require(FileHandle(forWritingAtPath: "\(source.path)/large.bin"))
            for number in 0..<256 {
                try file.write(contentsOf: Data("\(number)".utf8) + block)
            }
            try file.close()
            let result = try await send("large.bin")
            #expect(result.status == 0, "\(result)")
            #expect(result.peakMemory <= 128 << 20, "the sender held \(result.peakMemory) bytes")
            #expect(daemon.peakMemory <= 128 << 20, "the daemon held \(daemon.peakMemory) bytes")
            let differences = try await TreeComparison.differences(
                "\(source.path)/large.bin",
                "\(daemon.inbox)/large.bin"
            )
            #expect(differences == [])
        }
        #endif
    }
}
