// SPDX-License-Identifier: MIT
import RTunDaemon
import Testing

struct NotifierTests {
    private static func arguments(
        _ title: String,
        _ body: String,
        _ origin: DesktopNotice.Origin = .label("gpu01")
    ) -> (title: String, body: String) {
        let all = Notifier.arguments(for: DesktopNotice(title: title, body: body, origin: origin), program: .notifySend)
        return (all[3], all[4])
    }

    @Test("notify-send gets fixed options, then the peer's words after --", arguments: DesktopNotice.Urgency.allCases)
    func notifySend(_ urgency: DesktopNotice.Urgency) {
        let notice = DesktopNotice(title: "--help", body: "-x", urgency: urgency, origin: .label("gpu01"))
        #expect(
            Notifier.arguments(for: notice, program: .notifySend)
                == ["--app-name=rtun", "--urgency=\(urgency.rawValue)", "--", "[gpu01] --help", "-x"]
        )
    }

    @Test("osascript gets a constant script, then the peer's words after --")
    func osascript() {
        let notice = DesktopNotice(
            title: #"" & do shell script "x"#,
            body: #"<b>a & b</b> \"#,
            origin: .unverified(name: "node7")
        )
        #expect(
            Notifier.arguments(for: notice, program: .osascript) == [
                "-e", "on run argv",
                "-e", "display notification (item 2 of argv) with title (item 1 of argv)",
                "-e", "end run",
                "--", #"[unverified: node7] " & do shell script "x"#, #"<b>a & b</b> \\"#,
            ]
        )
    }

    @Test(
        "markup is shown, not obeyed, and what notify-send would unescape stays escaped",
        arguments: [
            ("<a href='x'>y</a> & z", "&lt;a href='x'&gt;y&lt;/a&gt; &amp; z"),
            ("&lt;", "&amp;lt;"),
            ("one\r\ntwo\nthree\tfour", "one\ntwo\nthree\tfour"),
            ("50%\r100%", #"50%\\r100%"#),
            ("\u{1b}[31mred", #"\\x1b[31mred"#),
            (#"\033[31m"#, #"\\\\033[31m"#),
            ("\u{202e}fdp.exe", #"\\u{202e}fdp.exe"#),
            ("", ""),
        ]
    )
    func body(_ text: String, _ argument: String) {
        #expect(Self.arguments("t", text).body == argument)
    }

    @Test(
        "the title begins with the origin and is one line",
        arguments: [
            ("done", .label("gpu01"), "[gpu01] done"),
            ("done", .unverified(name: "node7"), "[unverified: node7] done"),
            ("a\nb\u{7}<i>", .label("gpu01"), #"[gpu01] a\nb\x07<i>"#),
            ("", .label("gpu01"), "[gpu01] rtun"),
            ("done", .unverified(name: "x] [gpu01"), "[unverified: x [gpu01] done"),
            ("done", .unverified(name: "a\u{202e}b"), #"[unverified: a\u{202e}b] done"#),
        ] as [(String, DesktopNotice.Origin, String)]
    )
    func title(_ title: String, _ origin: DesktopNotice.Origin, _ argument: String) {
        #expect(Self.arguments(title, "", origin).title == argument)
    }

    @Test("title and body are cut at 64 and 512 characters and keep their origin")
    func limits() {
        let flood = String(repeating: "x", count: 5000)
        let labelled = Self.arguments(flood, flood)
        #expect(labelled.title == "[gpu01] " + String(repeating: "x", count: 55) + "…")
        #expect(labelled.body == String(repeating: "x", count: 511) + "…")
        let unverified = Self.arguments(flood, "", .unverified(name: flood)).title
        #expect(unverified.hasPrefix("[unverified: xxx") && unverified.contains("…] x"))
        #expect(unverified.unicodeScalars.count == 64)
    }

    @Test("every name on the plain socket draws on one budget")
    func budgetName() {
        let names = ["a", "b"].map { DesktopNotice.Origin.unverified(name: $0).budgetName }
        #expect(names[0] == names[1])
        #expect(DesktopNotice.Origin.label("a").budgetName == "a")
    }

    @Test("the notice reaches the program on PATH, and its absence is told apart from its failure")
    func runsProgram() async throws {
        let programs = try RecorderFolder()
        let notice = DesktopNotice(title: "hello", body: "a <b>\n", urgency: .critical, origin: .label("gpu01"))
        let notifier = Notifier(program: .notifySend, environment: programs.environment, timeout: .seconds(30))
        guard case .unavailable = await notifier.show(notice) else {
            Issue.record("a missing program must be told")
            return
        }
        try programs.install("notify-send", script: RecorderFolder.recording)
        #expect(await notifier.show(notice) == .shown(number: nil))
        #expect(
            try programs.recorded()
                == ["--print-id", "--app-name=rtun", "--urgency=critical", "--", "[gpu01] hello", "a &lt;b&gt;\n"]
        )
        try programs.install("notify-send", script: "exit 7")
        #expect(await notifier.show(notice) == .failed(reason: "notify-send ended with code 7"))
    }

    @Test("a notice takes the place of the one with the number that the desktop gave, and goes in time")
    func replaces() async throws {
        let programs = try RecorderFolder()
        let notifier = Notifier(program: .notifySend, environment: programs.environment, timeout: .seconds(30))
        let notice = DesktopNotice(title: "epoch 9", body: "", origin: .label("gpu01"), expiry: 30)
        try programs.install("notify-send", script: RecorderFolder.recording + "; echo 17")
        #expect(await notifier.show(notice) == .shown(number: 17))
        #expect(await notifier.show(notice, replacing: 17) == .shown(number: 17))
        let plain = ["--app-name=rtun", "--urgency=normal", "--expire-time=30000", "--", "[gpu01] epoch 9", ""]
        #expect(try programs.recorded() == ["--print-id"] + plain + ["--print-id", "--replace-id=17"] + plain)
    }

    @Test("a notify-send that knows no numbers and no buttons shows the notice plainly")
    func oldNotifySend() async throws {
        let programs = try RecorderFolder()
        let notifier = Notifier(program: .notifySend, environment: programs.environment, timeout: .seconds(30))
        let notice = DesktopNotice(title: "t", body: "b", origin: .label("gpu01"))
        try programs.install(
            "notify-send",
            script: "case \"$1\" in --print-id|--action=*) exit 1;; esac; \(RecorderFolder.recording)"
        )
        let plain = ["--app-name=rtun", "--urgency=normal", "--", "[gpu01] t", "b"]
        #expect(await notifier.show(notice, replacing: 17) == .shown(number: nil))
        #expect(try programs.recorded() == plain)
        #expect(await notifier.show(notice, offering: "Show folder", for: .seconds(30)) == false)
        #expect(try programs.recorded() == plain + plain)
    }

    @Test(
        "a pressed button is told, and nothing else counts as one",
        arguments: [("pressed", true), ("", false), ("2", false)]
    )
    func button(_ output: String, _ isPressed: Bool) async throws {
        let programs = try RecorderFolder()
        let notifier = Notifier(program: .notifySend, environment: programs.environment, timeout: .seconds(30))
        let notice = DesktopNotice(title: "t", body: "b", origin: .label("gpu01"))
        try programs.install("notify-send", script: RecorderFolder.recording + "; echo '\(output)'")
        #expect(await notifier.show(notice, offering: "Show folder", for: .seconds(30)) == isPressed)
        #expect(try programs.recorded().first == "--action=pressed=Show folder")
    }
}
