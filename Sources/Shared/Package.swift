// swift-tools-version: 6.2
// The code that the five services have in common, as one dynamic library: a device keeps one copy of its
// text in memory and one image layer on disk. It is a package of its own because a target of the same
// package would be linked statically into each executable (docs/decisions/0001-one-shared-library.md).
import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
    name: "Shared",
    products: [
        .library(
            name: "Shared", type: .dynamic,
            targets: ["Contracts", "Machine", "Identity", "YAML", "Transport", "Runtime"])
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Pure: the wire values of every arrow between services, with their byte-exact encodings.
        .target(name: "Contracts", path: "Contracts", swiftSettings: strict),
        // Pure: the step protocol of every core, the seeded generator, and the order of turns that it draws.
        .target(name: "Machine", dependencies: ["Contracts"], path: "Machine", swiftSettings: strict),
        // Pure: hashing, signing and verifying, on libsodium.
        .target(name: "Identity", dependencies: ["Contracts", "CSodium"], path: "Identity", swiftSettings: strict),
        // Pure: what people write, read with its line numbers, on libyaml.
        .target(name: "YAML", dependencies: ["CYAML"], path: "YAML", swiftSettings: strict),
        .target(
            name: "Transport",
            dependencies: [
                "Contracts", "CCurl", "CCurlOptions",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
            ], path: "Transport", swiftSettings: strict),
        .target(
            name: "Runtime",
            dependencies: [
                "Contracts", "Machine", "Identity", "Transport", "YAML",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], path: "Runtime", swiftSettings: strict),
        .systemLibrary(
            name: "CCurl", path: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(
            name: "CSodium", path: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(
            name: "CYAML", path: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        // curl_easy_setopt is variadic, which Swift cannot call: one C function per argument type.
        .target(name: "CCurlOptions", dependencies: ["CCurl"], path: "CCurlOptions"),
    ],
    swiftLanguageModes: [.v6]
)
