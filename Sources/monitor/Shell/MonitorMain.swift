import ArgumentParser
import Contracts
import Glibc
import Runtime

/// The service that measures: `run` is the service, the other verbs are its operator's tool.
@main struct MonitorMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "monitor",
        abstract: "Measures what a device and the apps on it use, twice a second, from Docker.",
        discussion: """
            Managed are the running containers with the label poise.app=NAME (and poise.incarnation=N, which Poise sets \
            itself). What they use is given in parts of what the device has.
            """,
        version: poiseVersion, subcommands: [RunCommand.self, HealthVerb.self, SampleCommand.self, TopCommand.self])
}

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Serve the measurements on the socket monitor.sock until stopped.",
        discussion: """
            Each setting can be given as an option, in the environment or in the YAML file named by --config, in this \
            order of precedence. Docker may be restarted at any time: monitor waits for it.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var device: DeviceOptions

    func run() async throws {
        let settings = try common.settings()
        try common.startLogging(settings)
        let service = MonitorService(try MonitorSettings(device, settings))
        let host = ServiceHost(
            service: "monitor", runDirectory: try common.runDirectory(settings), openapi: PackageResources.openapi_yaml,
            metrics: service.metrics, health: service.checks)
        addRoutes(to: host.router, of: service)
        try await host.run(tasks: service.tasks)
    }
}

struct HealthVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Say whether the running service is well: exit status 0 if it is, 1 if not.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print the answer as JSON.")
    var json = false

    func run() async throws { try await HealthCommand("monitor", common).run(json: json) }
}

/// The standard streams, where print isn't enough.
enum Standard {
    static func error(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
