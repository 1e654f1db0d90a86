// SPDX-License-Identifier: MIT

/// What `rtun doctor` found, told as it is found; the first failure is what to mend first.
struct Findings {
    private enum Grade: String {
        case good = "ok  "
        case doubtful = "note"
        case bad = "FAIL"
    }

    private var firstAdvice: String?

    var isWell: Bool { firstAdvice == nil }

    /// It works; `detail` says how.
    func good(_ subject: String, _ detail: String = "") { tell(.good, subject, detail) }

    /// It works, or is not needed by everybody.
    func doubtful(_ subject: String, _ detail: String) { tell(.doubtful, subject, detail) }

    /// It does not work; `advice` says what to do, in a sentence that can stand alone.
    mutating func bad(_ subject: String, _ detail: String, advice: String) {
        tell(.bad, subject, detail)
        if firstAdvice == nil { firstAdvice = advice }
    }

    /// The last line: the first thing to do.
    func conclude() {
        StandardStream.output.line(firstAdvice.map { "First: \($0)" } ?? "Everything that was looked at works.")
    }

    private func tell(_ grade: Grade, _ subject: String, _ detail: String) {
        StandardStream.output.line("\(grade.rawValue)  \(safe(subject))" + (detail.isEmpty ? "" : ": \(safe(detail))"))
    }
}
