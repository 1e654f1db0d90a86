// SPDX-License-Identifier: MIT

import Foundation
import RTunDaemon
import TestSupport
import Testing
import Transfer

struct ArrivalTests {
    private func committed(_ names: [String], files: UInt64 = 412) -> Committed {
        var committed = Committed()
        committed.names = names
        committed.files = files
        committed.bytes = 1_200_000_000
        return committed
    }

    @Test("what arrived is told in one sentence")
    func sentence() {
        let label = DesktopNotice.Origin.label("cluster")
        #expect(
            ArrivalBoard.sentence(committed(["results"]), from: label) == "412 files, 1.2 GB from cluster in results/"
        )
        #expect(ArrivalBoard.sentence(committed(["a.csv"], files: 1), from: label) == "a.csv, 1.2 GB from cluster")
        #expect(
            ArrivalBoard.sentence(committed(["a", "", "b"]), from: .unverified(name: "node7"))
                == "412 files, 1.2 GB from node7: a and 1 more"
        )
        #expect(ArrivalBoard.sentence(committed([""]), from: label) == nil)
    }

    @Test("a lasting transfer keeps the machine awake, and the program ends with it")
    func inhibitor() async throws {
        let scratch = ScratchFolder("inhibit")
        let record = scratch.path + "/record"
        for program in ["systemd-inhibit", "caffeinate"] {
            let path = scratch.path + "/" + program
            try TreeMaker.write("#!/bin/sh\necho \"$$ $*\" >'\(record)'\nexec /bin/cat\n", to: path)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        let inhibitor = SleepInhibitor(delay: .zero, searchPath: scratch.path + ":/bin:/usr/bin")
        await inhibitor.begin()
        await inhibitor.begin()
        #expect(
            await Waiting.until(within: .seconds(60)) {
                (try? String(contentsOfFile: record, encoding: .utf8))?.hasSuffix("\n") == true
            }
        )
        let words = try String(contentsOfFile: record, encoding: .utf8)
        let process = try #require(words.split(separator: " ").first.flatMap { Int32($0) })
        await inhibitor.end()
        #expect(kill(process, 0) == 0, "it ended while a transfer runs")
        await inhibitor.end()
        #expect(await Waiting.until(within: .seconds(60)) { kill(process, 0) != 0 })
    }
}
