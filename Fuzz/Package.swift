// swift-tools-version: 6.2
// SPDX-License-Identifier: MIT
import PackageDescription

/// Fuzzers of everything that reads what a peer or an earlier run wrote; `scripts/fuzz` builds and runs them.
///
/// A package of its own: it is built with the coverage and the sanitizers of libFuzzer, and nobody else should be.
let package = Package(
    name: "Fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "rtun", path: ".."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    ],
    targets: [
        .target(name: "CLibFuzzer"),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "CLibFuzzer", .product(name: "RTunParts", package: "rtun"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableExperimentalFeature("Lifetimes"),
            ],
            // gold, the default on Linux, fails on what the sanitizers add.
            linkerSettings: [.unsafeFlags(["-use-ld=lld"], .when(platforms: [.linux]))]
        ),
    ]
)
