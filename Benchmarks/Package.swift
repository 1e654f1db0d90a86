// swift-tools-version: 6.2
// SPDX-License-Identifier: MIT
import PackageDescription

/// The stages of a send, each measured alone.
///
/// The sources are those of the product, reached through links: what is
/// measured is `package` to it and must not become public for that.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let strictMemory: [SwiftSetting] = strict + [.strictMemorySafety()]
let borrowing: [SwiftSetting] = strict + [.enableExperimentalFeature("Lifetimes")]
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://github.com/apple/swift-system", from: "1.8.0")],
    targets: [
        .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto"),
        .target(name: "CDescriptors"),
        .target(name: "Descriptors", dependencies: ["CDescriptors", system], swiftSettings: strictMemory),
        .target(name: "Codecs", dependencies: ["CZlib", "CZstd", "COpenSSL"], swiftSettings: strictMemory),
        .target(name: "Archive", dependencies: ["Codecs", "Descriptors", system], swiftSettings: borrowing),
        .executableTarget(
            name: "Stages",
            dependencies: ["Archive", "Codecs", "Descriptors"],
            swiftSettings: borrowing
        ),
    ]
)
