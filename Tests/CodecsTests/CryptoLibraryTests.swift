// SPDX-License-Identifier: MIT
import Codecs
import Testing

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite("libcrypto")
struct CryptoLibraryTests {
    @Test("gives digests under a host configuration that takes SHA-256 away")
    func digestsUnderBrokenConfiguration() async {
        await #expect(processExitsWith: .success) {
            try hideEveryAlgorithm()
            let hex = try digest(Array("abc".utf8)).description
            try #require(hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        }
    }

    @Test("gives random bytes under a host configuration that takes the generator away")
    func randomBytesUnderBrokenConfiguration() async {
        await #expect(processExitsWith: .success) {
            try hideEveryAlgorithm()
            try #require(RandomBytes.make(32).count == 32)
        }
    }

    @Test("makes as many random bytes as asked for, and others each time")
    func randomBytes() throws {
        #expect(RandomBytes.make(0).isEmpty)
        #expect(RandomBytes.make(1).count == 1)
        let first = RandomBytes.make(32)
        let second = RandomBytes.make(32)
        #expect(first.count == 32)
        #expect(first != second)
        #expect(first != [UInt8](repeating: 0, count: 32))
    }
}

/// Points `OPENSSL_CONF` to a configuration that activates the null provider alone, which has no algorithm at all.
private func hideEveryAlgorithm() throws {
    let configuration = """
        openssl_conf = all
        [all]
        providers = chosen
        [chosen]
        null = nothing
        [nothing]
        activate = 1

        """
    var path = Array("/tmp/rtun-openssl-XXXXXX".utf8CString)
    let descriptor = mkstemp(&path)
    try #require(descriptor >= 0)
    let written = write(descriptor, configuration, configuration.utf8.count)
    close(descriptor)
    try #require(written == configuration.utf8.count)
    setenv("OPENSSL_CONF", path, 1)
    atexit { unlink(getenv("OPENSSL_CONF")) }
}
