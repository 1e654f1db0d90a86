// SPDX-License-Identifier: MIT

import Testing

@testable import rtun

/// What of a page's text counts as a file beside it.
struct PageReferencesTests {
    private static func paths(_ text: String, of folder: [String] = []) -> [String] {
        PageReferences(in: Array(text.utf8), of: folder).paths.map { $0.joined(separator: "/") }
    }

    @Test(
        arguments: [
            (#"<img src="a.png">"#, ["a.png"]),
            ("<IMG SRC = 'report_files/b c.PNG' >", ["report_files/b c.PNG"]),
            ("<script src=lib/x.js></script>", ["lib/x.js"]),
            (#"<link rel="stylesheet" href="./s.css?v=3#top">"#, ["s.css"]),
            (#"<img src="a%20b%C3%A9.png">"#, ["a bé.png"]),
            (#"<img srcset="s.png 1x, l.png 2x">"#, ["s.png", "l.png"]),
            (#"<video poster="p.jpg" src="v.mp4">"#, ["p.jpg", "v.mp4"]),
            ("div { background: url(i.svg) } @font-face { src: URL('f.woff2') }", ["i.svg", "f.woff2"]),
            (#"@import "other.css";"#, ["other.css"]),
            (#"<img src="a.png"><img src="a.png">"#, ["a.png"]),
            ("<img src=\"cut.png", ["cut.png"]),
        ]
    )
    func `an address that leads down is a file beside the page`(_ text: String, _ expected: [String]) {
        #expect(Self.paths(text) == expected)
    }

    @Test(
        arguments: [
            "../up.png", "a/../../up.png", "../../.ssh/id_rsa", "%2e%2e/up.png", "a/%2E%2E/up.png", "a%2f..%2fup.png",
            "/etc/passwd.txt", "//host/a.png", "file:///etc/a.txt", "http://host/a.png", "data:image/png;base64,a.png",
            ".hidden.png", ".ssh/a.txt", "a/.b/c.png", "a//b.png", "a\\b.png", "id_rsa", "run.sh", "a.exe", "a.desktop",
            "", "#top", "?q=a.png", "%ff.png", "a/",
        ]
    )
    func `an address that leads elsewhere is none`(_ address: String) {
        #expect(Self.paths("<img src=\"\(address)\">") == [])
        #expect(Self.paths("url(\(address))") == [])
    }

    @Test
    func `what a style sheet names counts from its own folder`() {
        #expect(Self.paths("url(fonts/a.woff)", of: ["report_files", "css"]) == ["report_files/css/fonts/a.woff"])
        #expect(Self.paths("url(../a.woff)", of: ["report_files", "css"]) == [])
    }

    @Test
    func `words that only end like an attribute are none`() {
        #expect(Self.paths(#"<a nosrc="a.png" x-href="b.png" curl(c.png)>"#) == [])
    }
}
