// SPDX-License-Identifier: MIT

import Descriptors
import TestSupport
import Testing

@testable import Archive

struct KeptFilesTests {
    private let scratch = ScratchFolder("kept")

    @Test func `a file that was noted is still it until somebody touches it`() throws {
        try TreeMaker.write("delivered", to: scratch.path + "/a")
        try TreeMaker.write("delivered", to: scratch.path + "/b")
        let folder = try Directory.open(scratch.path)
        let (a, b) = (try folder.status("a"), try folder.status("b"))
        var kept = KeptFiles()
        kept.note(3, FileIdentity(a))
        #expect(kept.isStill(3, a))
        #expect(!kept.isStill(3, b))
        // Nothing is known of entries before and behind it.
        #expect(!kept.isStill(2, a) && !kept.isStill(4, a))
        try folder.setModified(Timestamp(seconds: 1_000_000_000, nanoseconds: 0), of: "a")
        #expect(!kept.isStill(3, try folder.status("a")))
    }
}
