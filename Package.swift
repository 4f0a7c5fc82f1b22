// swift-tools-version: 6.2
// Poise: what each target may depend on is the architecture (docs/architecture.md). A core sees the pure
// modules of Shared alone; Tests/Architecture holds that line.
import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

let shared: Target.Dependency = .product(name: "Shared", package: "Shared")

/// The pure half of a service: a value-type state machine, no input or output.
func core(_ service: String, _ name: String) -> Target {
    .target(name: name, dependencies: [shared], path: "Sources/\(service)/Core", swiftSettings: strict)
}

/// The thin half: sockets, disk, Docker and the clock around the core.
func shell(_ service: String, core: String, _ more: [Target.Dependency] = []) -> Target {
    .executableTarget(
        name: service, dependencies: [shared, .target(name: core)] + more, path: "Sources/\(service)",
        exclude: ["Core"] + (service == "planner" ? ["CSQLite"] : []), resources: [.embedInCode("openapi.yaml")],
        swiftSettings: strict)
}

/// Tests of a service, of both its halves.
func tests(_ service: String, _ name: String, core: String, _ more: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name, dependencies: [shared, .target(name: core), .target(name: service)] + more,
        path: "Tests/\(service)", swiftSettings: strict)
}

let package = Package(
    name: "poise",
    products: ["monitor", "gossip", "consensus", "planner", "migrator"].map { .executable(name: $0, targets: [$0]) },
    dependencies: [.package(path: "Sources/Shared")],
    targets: [
        core("monitor", "MonitorCore"),
        core("gossip", "GossipCore"),
        core("consensus", "ConsensusCore"),
        core("planner", "PlannerCore"),
        core("migrator", "MigratorCore"),
        shell("monitor", core: "MonitorCore"),
        shell("gossip", core: "GossipCore"),
        shell("consensus", core: "ConsensusCore"),
        shell("planner", core: "PlannerCore", ["CSQLite"]),
        shell("migrator", core: "MigratorCore"),
        tests("monitor", "MonitorTests", core: "MonitorCore"),
        tests("gossip", "GossipTests", core: "GossipCore"),
        tests("consensus", "ConsensusTests", core: "ConsensusCore", ["ElectionSimulation"]),
        tests("planner", "PlannerTests", core: "PlannerCore"),
        tests("migrator", "MigratorTests", core: "MigratorCore"),
        .testTarget(name: "SharedTests", dependencies: [shared], path: "Tests/Shared", swiftSettings: strict),
        .testTarget(name: "ArchitectureTests", path: "Tests/Architecture", swiftSettings: strict),
        .target(
            name: "Simulation",
            dependencies: [shared, "MonitorCore", "GossipCore", "ConsensusCore", "PlannerCore", "MigratorCore"],
            path: "Tests/Simulation", swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation", "ConsensusCore"], path: "Tests/SimulationTests",
            swiftSettings: strict),
        .target(
            name: "ElectionSimulation", dependencies: [shared, "ConsensusCore"], path: "Tests/ElectionSimulation",
            swiftSettings: strict),
        .executableTarget(
            name: "simulate",
            dependencies: [
                shared, "ConsensusCore", "GossipCore", "PlannerCore", "ElectionSimulation", "Simulation",
            ],
            path: "Tests/Simulate",
            swiftSettings: strict),
        .executableTarget(
            name: "plan-benchmark", dependencies: ["PlannerCore"], path: "Tests/Benchmarks", swiftSettings: strict),
        .systemLibrary(
            name: "CSQLite", path: "Sources/planner/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
    ],
    swiftLanguageModes: [.v6]
)
