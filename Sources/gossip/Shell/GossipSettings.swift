import ArgumentParser
import Contracts
import Runtime
import Transport

/// What `gossip run` can be told.
struct GossipOptions: ParsableArguments {
    @Option(
        help: "This device's name in the site (POISE_NAME; required): 1 to 63 of a-z, 0-9, hyphen, underscore, dot.")
    var name: String?

    @Option(help: "The site's name, the same on all devices (POISE_SITE; default poise).")
    var site: String?

    @Option(
        help: "Devices to begin with, host or host:port, separated by commas (POISE_PEERS). They tell of the others.")
    var peers: String?

    @Option(help: "The TCP port for other devices (POISE_GOSSIP_PORT; default 7700).")
    var gossipPort: Int?

    @Option(help: "The TCP port of this device's migrator, as others are told (POISE_MIGRATOR_PORT; default 7701).")
    var migratorPort: Int?

    @Option(
        help: """
            This device's address as others reach it, host or host:port (POISE_ADVERTISE; default: the address from \
            which the first peer is reached).
            """)
    var advertise: String?

    @Option(
        name: .customLong("operator"),
        help: """
            The public half of the operator's key, as planner is told (POISE_OPERATOR). Without it this device doesn't vote in a \
            chain that the operator has recovered.
            """)
    var `operator`: String?

    @Option(help: "Milliseconds from one report to the next (POISE_REPORT_INTERVAL_MS; default 1000).")
    var reportIntervalMs: Int?
}

struct GossipSettings: Sendable {
    static let defaultPort = 7_700

    var name: String
    var site: String
    var peers: [Endpoint]
    var port: Int
    var migratorPort: Int
    var advertise: Endpoint?
    var reportInterval: Int64
    var operatorKey: PublicKey?

    /// - Throws: `SettingError`.
    init(_ options: GossipOptions, _ settings: Settings) throws {
        func checked(_ key: String, _ text: String) throws -> String {
            guard AppSpecification.isValid(name: text) else {
                throw SettingError(
                    "\(Settings.variable(key)) is \"\(text)\": allowed are 1 to 63 of a-z, 0-9, hyphen, underscore and "
                        + "dot, beginning with a letter or digit")
            }
            return text
        }
        name = try checked(
            "name", try settings.required("name", flag: options.name, purpose: "it is what people call this device"))
        site = try checked("site", try settings.string("site", flag: options.site, default: "poise"))
        port = try settings.integer("gossip-port", flag: options.gossipPort, default: Self.defaultPort, in: 1...65_535)
        migratorPort = try settings.integer(
            "migrator-port", flag: options.migratorPort, default: 7_701, in: 1...65_535)
        reportInterval = Int64(
            try settings.integer("report-interval-ms", flag: options.reportIntervalMs, default: 1_000, in: 100...60_000)
        )
        peers = try settings.list("peers", flag: options.peers, limit: 256).map { text in
            do { return try Endpoint(parsing: text, defaultPort: Self.defaultPort) } catch {
                throw SettingError("POISE_PEERS: \(error)")
            }
        }
        operatorKey = try settings.parsed("operator", flag: options.operator) { text in
            guard let key = PublicKey(hex: text) else {
                throw SettingError(
                    "\"\(text.prefix(80))\" is no key: allowed are 64 hex digits, as `planner operator show` prints them"
                )
            }
            return key
        }
        let port = port
        advertise = try settings.parsed("advertise", flag: options.advertise) {
            try Endpoint(parsing: $0, defaultPort: port)
        }
    }
}
