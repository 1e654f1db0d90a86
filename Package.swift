// swift-tools-version: 6.2
// SPDX-License-Identifier: MIT
import PackageDescription

/// The settings of every Swift target, declared once.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// Targets that touch C memory also mark each unsafe expression.
let strictMemory: [SwiftSetting] = strict + [.strictMemorySafety()]

/// Decoders borrow the bytes they read: lifetimes of non-escapable values are spelled out there.
let borrowing: [SwiftSetting] = strict + [.enableExperimentalFeature("Lifetimes")]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "rtun",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "rtun", targets: ["rtun"]),
        // For the package in Fuzz/, nobody else.
        .library(name: "RTunParts", targets: ["Codecs", "Descriptors", "Archive", "Transfer", "RTunDaemon"]),
    ],
    dependencies: [
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // Without the trait that is on by default: nothing here needs what Subprocess adds to Foundation.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
    ],
    targets: [
        // C libraries, each behind a module map, imported by one Swift target alone.
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .systemLibrary(
            name: "COpenSSL",
            pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]
        ),
        .target(name: "CDescriptors"),

        // The house, lowest floor first. Arrows point down only; the build checks it.
        .target(name: "Descriptors", dependencies: ["CDescriptors", system], swiftSettings: strictMemory),
        .target(name: "Codecs", dependencies: ["CZlib", "CZstd", "COpenSSL"], swiftSettings: strictMemory),
        .target(name: "Archive", dependencies: ["Codecs", "Descriptors", system], swiftSettings: borrowing),
        .target(
            name: "Transfer",
            dependencies: ["Archive", "Codecs", "Descriptors", nioCore, nioPosix, system],
            swiftSettings: borrowing
        ),
        .target(
            name: "RTunDaemon",
            dependencies: [
                "Transfer", "Archive", "Codecs", "Descriptors", nioCore, nioPosix, logging, system,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "rtun",
            dependencies: [
                "RTunDaemon", "Transfer", "Archive", "Codecs", "Descriptors", nioCore, nioPosix, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),

        // Tests. TestSupport holds what several suites share: scratch folders, fixtures, the built binary, sshd.
        .target(
            name: "TestSupport",
            dependencies: ["CDescriptors", system],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .testTarget(name: "CodecsTests", dependencies: ["Codecs"], swiftSettings: strict),
        .testTarget(
            name: "DescriptorsTests",
            dependencies: ["Descriptors", "TestSupport", system],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ArchiveTests",
            dependencies: ["Archive", "Codecs", "Descriptors", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TransferTests",
            dependencies: ["Transfer", "Archive", "Codecs", "Descriptors", "TestSupport", nioCore, nioPosix],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RTunDaemonTests",
            dependencies: ["RTunDaemon", "Transfer", "Archive", "Codecs", "Descriptors", "TestSupport", logging],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RTunTests",
            dependencies: ["rtun", "Transfer", "Archive", "Descriptors"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["rtun", "Descriptors", "TestSupport"],
            swiftSettings: strict
        ),
    ]
)
