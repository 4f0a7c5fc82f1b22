import ArgumentParser
import ConsensusCore
import Runtime

/// What `consensus run` can be told.
struct ConsensusOptions: ParsableArguments {
    @Option(help: "How the leader is elected, the same on all devices (POISE_ELECTION; default raft).")
    var election: String?

    @Option(help: "Milliseconds from one sign of life of a leader to the next (POISE_HEARTBEAT_MS; default 250).")
    var heartbeatMs: Int?

    @Option(
        help: """
            A leader is given up after a silence of so many milliseconds to half as many again, drawn at random each time \
            (POISE_ELECTION_TIMEOUT_MS; default 1000).
            """)
    var electionTimeoutMs: Int?

    @OptionGroup var etcd: EtcdOptions
}

/// The settings of a running consensus, checked.
struct ConsensusSettings: Sendable {
    var engine: any Election.Type
    /// Milliseconds.
    var heartbeat: Int64
    /// Milliseconds, the least.
    var timeout: Int64
    /// Only with the engine that needs one.
    var etcd: EtcdSettings?

    /// - Throws: `SettingError`.
    init(_ options: ConsensusOptions, _ settings: Settings) throws {
        engine =
            try settings.parsed("election", flag: options.election) { try Elections.named($0) } ?? RaftElection.self
        let heartbeat = try settings.integer("heartbeat-ms", flag: options.heartbeatMs, default: 250, in: 10...60_000)
        let timeout = try settings.integer(
            "election-timeout-ms", flag: options.electionTimeoutMs, default: 1_000, in: 20...600_000)
        guard timeout >= 2 * heartbeat else {
            throw SettingError(
                """
                POISE_ELECTION_TIMEOUT_MS (or --election-timeout-ms) is \(timeout): it must be at least twice \
                POISE_HEARTBEAT_MS, which is \(heartbeat), or a single lost heartbeat ends a leader
                """)
        }
        self.heartbeat = Int64(heartbeat)
        self.timeout = Int64(timeout)
        etcd = engine == EtcdElection.self ? try EtcdSettings(options.etcd, settings) : nil
    }
}
