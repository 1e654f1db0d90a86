// SPDX-License-Identifier: MIT

import RTunDaemon
import Testing

@Suite("Admission")
struct AdmissionTests {
    private let admission = Admission()
    private let labels = ["a", "b", "c"].map { HostLabel($0)! }

    private func enterAll(by gate: Gate) -> Int {
        var count = 0
        while admission.enter(by: gate) { count += 1 }
        return count
    }

    @Test("One label has 32 connections, and the others keep theirs")
    func perLabel() {
        for label in labels { admission.open(.host(label)) }
        #expect(enterAll(by: .host(labels[0])) == 32)
        #expect(enterAll(by: .host(labels[1])) == 32)
        // The plain socket takes what is left but for four of the third label.
        #expect(enterAll(by: .plain) == 128 - 64 - 4)
        #expect(enterAll(by: .host(labels[2])) == 4)
        admission.leave(by: .host(labels[0]))
        #expect(admission.enter(by: .host(labels[0])))
    }

    @Test("The plain socket cannot shut labels out, nor they it")
    func kept() {
        #expect(enterAll(by: .plain) == 128)
        for _ in 0..<128 { admission.leave(by: .plain) }
        for label in labels { admission.open(.host(label)) }
        #expect(enterAll(by: .plain) == 128 - 3 * 4)
        for label in labels { #expect(enterAll(by: .host(label)) == 4) }
    }

    @Test("With very many labels half of the connections are still free for all")
    func manyLabels() {
        for number in 0..<200 { admission.open(.host(HostLabel("h\(number)")!)) }
        #expect(enterAll(by: .plain) >= 64)
    }

    @Test("A source on the plain socket has 32, of which data connections take 28 at most")
    func perParty() {
        let (one, other) = (Admission.Party.source([1]), Admission.Party.source([2]))
        for _ in 0..<28 {
            #expect(admission.enter(one))
            #expect(admission.beginData(one))
        }
        #expect(admission.enter(one))
        #expect(!admission.beginData(one))
        for _ in 0..<3 { #expect(admission.enter(one)) }
        #expect(!admission.enter(one))
        #expect(admission.enter(other))
        admission.endData(one)
        admission.leave(one)
        #expect(admission.enter(one))
        #expect(admission.beginData(one))
        // Peers that state no key are one party.
        for _ in 0..<32 { #expect(admission.enter(.source(nil))) }
        #expect(!admission.enter(.source(nil)))
    }
}
