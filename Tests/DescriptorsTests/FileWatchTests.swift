// SPDX-License-Identifier: MIT

import Descriptors
import Foundation
import TestSupport
import Testing

struct FileWatchTests {
    private let scratch = ScratchFolder("watch")
    private var path: String { scratch.path + "/plot.png" }

    private func watch(notices: Bool, interval: Int32) throws -> FileWatch {
        FileWatch(
            try Directory.open(scratch.path),
            at: notices ? scratch.path : scratch.path + "/nowhere",
            name: "plot.png",
            interval: interval,
            settling: 20
        )
    }

    @Test(
        "A change is seen by a notice at once, and without notices by asking",
        arguments: [(true, 60_000), (false, 10)]
    )
    func change(_ notices: Bool, _ interval: Int32) throws {
        #if !os(Linux)
        if notices { return }
        #endif
        try TreeMaker.write("one", to: path)
        let watch = try watch(notices: notices, interval: interval)
        #expect(try !watch.wait(milliseconds: 30))
        try TreeMaker.write("other", to: path)
        #expect(try watch.wait(milliseconds: 60_000))
        #expect(try !watch.wait(milliseconds: 30), "one change is told once")
        try FileManager.default.removeItem(atPath: path)
        #expect(try !watch.wait(milliseconds: 30), "a file that is gone is no new state")
        try TreeMaker.write("again", to: path)
        #expect(try watch.wait(milliseconds: 60_000))
    }
}
