import ArgumentParser
import Contracts
import Runtime

/// The executable.
@main struct PlannerMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "planner",
        abstract: "Decides with the site's other devices where each app runs, and takes apps to run.",
        discussion: """
            On each device `planner run` keeps the site's chain of blocks: with the other devices it agrees on where \
            apps run and when one moves. The other commands ask the planner of this device.
            """,
        version: poiseVersion,
        subcommands: [
            Run.self, HealthVerb.self, Submit.self, Apps.self, Explain.self, Remove.self, Nodes.self,
            OperatorVerb.self, Invite.self, Dismiss.self, Leave.self, Configure.self, Recover.self,
            ChainVerb.self, Simulate.self,
        ])
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the service.",
        discussion: "Each option has an environment variable, and a key of the same name in the settings file.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var options: PlannerOptions

    func run() async throws {
        let settings = try common.settings()
        try common.startLogging(settings)
        let service = try PlannerService(
            settings: try PlannerSettings(options, settings), runDirectory: try common.runDirectory(settings),
            stateDirectory: try state.directory(settings))
        let health = PlannerHealth(service: service)
        let host = ServiceHost(
            service: "planner", runDirectory: try common.runDirectory(settings),
            openapi: PackageResources.openapi_yaml, metrics: service.metrics.registry,
            health: { await health.checks() })
        PlannerRoutes(service: service).add(to: host.router)
        try await host.run(tasks: [ServiceTask("planner") { try await service.run() }])
    }
}

struct HealthVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Say how this device's planner is; exit status 1 if it can't do its work.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws { try await HealthCommand("planner", common).run(json: json) }
}
