import ArgumentParser
import ConsensusCore
import Contracts
import Logging
import Runtime
import Transport

/// `consensus run`: wiring only.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the service until SIGTERM or SIGINT.",
        discussion: """
            Needs gossip's socket in the same directory and waits for it. Until planner has told the site's members \
            it elects nobody. A setting is taken from its flag, else from its POISE_ variable, else from the \
            settings file.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var options: ConsensusOptions

    func run() async throws {
        let read = try common.settings()
        try common.startLogging(read)
        let settings = try ConsensusSettings(options, read)
        let runDirectory = try common.runDirectory(read)
        let store = ElectionStore(directory: try state.directory(read), engine: settings.engine.name)
        let client = HTTPClient()
        let metrics = ConsensusMetrics()
        let gossip = GossipClient(
            client: client, runDirectory: runDirectory, metrics: metrics, patience: settings.timeout)
        let feed = GossipFeed(client: client, runDirectory: runDirectory)
        let etcd = settings.etcd.map {
            EtcdClient(client: client, settings: $0, metrics: metrics, timeout: settings.timeout)
        }
        let participant = try Participant(
            settings: settings, store: store, gossip: gossip, questions: Questions(gossip: gossip, etcd: etcd),
            metrics: metrics)
        let host = ServiceHost(
            service: "consensus", runDirectory: runDirectory, openapi: PackageResources.openapi_yaml,
            metrics: metrics.metrics
        ) { await participant.health(gossip: feed.check).merging(etcd.map { ["etcd": $0.check] } ?? [:]) { $1 } }
        ConsensusRoutes(participant: participant, metrics: metrics).add(to: host.router)
        try await host.run(tasks: [
            ServiceTask("sending to gossip") { await gossip.publishAll() },
            ServiceTask("the election") {
                let own = try await gossip.node()
                try await participant.run(as: own, following: feed)
            },
        ])
    }
}
