import ArgumentParser
import Contracts
import Runtime
import Transport

/// `gossip run`: wiring only.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the service until SIGTERM or SIGINT.",
        discussion: """
            At the first start a key is made: the device is its key from then on. A setting is taken from its flag, \
            else from its POISE_ variable, else from the settings file.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var options: GossipOptions

    func run() async throws {
        let read = try common.settings()
        try common.startLogging(read)
        let settings = try GossipSettings(options, read)
        let runDirectory = try common.runDirectory(read)
        let client = HTTPClient()
        let metrics = GossipMetrics()
        let service = try GossipService(
            settings: settings, store: IdentityStore(directory: try state.directory(read)), client: client,
            feed: MonitorFeed(client: client, runDirectory: runDirectory), metrics: metrics)
        let host = ServiceHost(
            service: "gossip", runDirectory: runDirectory, openapi: PackageResources.openapi_yaml,
            metrics: metrics.metrics
        ) { await service.health() }
        LocalRoutes(service: service).add(to: host.router)
        let network = ServiceHost.makeRouter(
            metrics: metrics.metrics, headers: [PeerClient.nodeHeader: service.node.description])
        NodeRoutes(service: service).add(to: network)
        try await host.run(network: NetworkListener(port: settings.port, router: network), tasks: service.tasks)
    }
}
