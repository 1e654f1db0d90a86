// SPDX-License-Identifier: MIT

import Archive
import Descriptors
import Testing

@testable import rtun

struct LastLinesTests {
    private func text(_ pieces: [String], lines: Int = 5, width: Int = 40) -> String {
        var last = LastLines()
        for piece in pieces { Array(piece.utf8).withSpan { last.append($0) } }
        return last.text(lines: lines, width: width)
    }

    @Test(
        "The last lines that say something, as they stood on the screen",
        arguments: [
            ("", ""), ("one", "one"), ("a\nb\nc\nd\n", "b\nc\nd"), ("a\n\n  \nb\r\n", "a\nb"),
            (" 10%\r 50%\r100%\n", "100%"), ("\u{1B}[1;31mred\u{1B}[0m \u{1B}]0;title\u{7}x\n", "red x"),
            ("cut \u{1B}[", "cut "),
        ]
    )
    func lastLines(_ written: String, _ expected: String) {
        #expect(text([written], lines: 3) == expected)
        #expect(text(written.unicodeScalars.map { String($0) }, lines: 3) == expected)
    }

    @Test("However much passes, the end is kept, and long lines are cut")
    func bounded() {
        let flood = [String](repeating: String(repeating: "x", count: 70_000), count: 3)
        #expect(text(flood + ["\nend\n"], width: 10) == "xxxxxxxxx…\nend")
    }
}

struct RunOutcomeTests {
    @Test(
        "A notification says what ran, how it ended, and after how long",
        arguments: [
            (.exited(0), "done: make -j4", "after 2:05", 0),
            (.exited(3), "failed: make -j4", "exit code 3 after 2:05", 3),
            (.signalled(9), "failed: make -j4", "ended by SIGKILL (137) after 2:05", 137),
            (.signalled(35), "failed: make -j4", "ended by signal 35 (163) after 2:05", 163),
        ] as [(Termination, String, String, Int32)]
    )
    func words(_ ending: Termination, _ title: String, _ body: String, _ code: Int32) {
        let outcome = RunOutcome(command: ["/usr/bin/make", "-j4"], ending: ending, elapsed: 125, lastLines: "")
        #expect(outcome.title == title && outcome.body == body && outcome.code == code)
        let told = RunOutcome(command: ["make"], ending: ending, elapsed: 125, lastLines: "no rule")
        #expect(told.body == body + "\nno rule")
    }
}
