import ArgumentParser
import Contracts
import Glibc
import Runtime

/// The service that moves: `run` is the service, the other verbs are its operator's tool.
@main struct MigratorMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrator",
        abstract: "Starts, ends and moves this device's apps as the site's committed blocks say.",
        discussion: """
            A running app is moved with its memory: it is frozen and written down here (a checkpoint), shipped to the \
            other device and goes on there. If anything fails on the way it goes on here.
            """,
        version: poiseVersion,
        subcommands: [Run.self, HealthVerb.self, MovesCommand.self, PreflightCommand.self, HoldCommand.self])
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the service.",
        discussion: """
            Each option has an environment variable, and a key of the same name in the settings file. The TCP port \
            takes apps from other devices without asking who they are: it belongs on a network that is trusted.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var options: MigratorOptions

    func run() async throws {
        let settings = try common.settings()
        try common.startLogging(settings)
        // A tar that ends before it has read all must not end this process, too.
        signal(SIGPIPE, SIG_IGN)
        let own = try MigratorSettings(options, settings)
        let service = try MigratorService(
            own, runDirectory: try common.runDirectory(settings), stateDirectory: try state.directory(settings))
        let host = ServiceHost(
            service: "migrator", runDirectory: try common.runDirectory(settings),
            openapi: PackageResources.openapi_yaml, metrics: service.metrics.registry,
            health: { await service.checks() })
        addRoutes(to: host.router, of: service)
        let remote = ServiceHost.makeRouter(metrics: service.metrics.registry)
        HandoffRoutes(service: service, target: service.target).add(to: remote)
        try await host.run(network: NetworkListener(port: own.port, router: remote), tasks: service.tasks)
    }
}

struct HealthVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Say whether the running service is well: exit status 0 if it is, 1 if not.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print the answer as JSON.") var json = false

    func run() async throws { try await HealthCommand("migrator", common).run(json: json) }
}
