package import Contracts
import Identity

/// Who takes part in a site on which nothing goes wrong, and what its devices run: keys, the signed genesis, apps, loads.
/// Everything follows from the options.
package struct PeacefulCast: Sendable {
    package static let site = "peace"

    let keys: [SigningKey]
    private let operatorKey: SigningKey
    package let founding: FoundingRecord
    package let apps: [AppSpecification]

    package init(nodes: Int, apps: Int, parameters: SiteParameters) {
        func key(_ number: Int, _ domain: String) -> SigningKey? {
            SigningKey(seed: Digest(of: [UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)], domain: domain).bytes)
        }
        let keys = (0..<nodes).compactMap { key($0, "poise/peaceful-node/1") }
        let owner = key(0, "poise/peaceful-operator/1")
        guard keys.count == nodes, let owner else { preconditionFailure("a digest is a key's seed") }
        self.keys = keys
        operatorKey = owner
        let members = keys.enumerated().map {
            Member(id: $1.nodeID, name: Self.name($0), vrf: $1.vrf.publicKey)
        }
        let genesis = Genesis(
            site: Self.site, operatorKey: owner.publicKey, parameters: parameters, members: members)
        var founding = FoundingRecord(genesis: genesis)
        for key in keys { _ = founding.add(key.sign(genesis.signedBytes), of: key.nodeID) }
        self.founding = founding
        self.apps = (0..<apps).map { AppSpecification(name: "app\($0 + 1)", image: "registry.example/app:1") }
    }

    /// By which the nodes are known, and the seeds of their keys.
    package var nodes: [NodeID] { keys.map(\.nodeID) }
    package var seeds: [[UInt8]] { keys.map(\.seed) }

    package static func name(_ node: Int) -> String { "pi\(node + 1)" }

    /// What a node's planner is told.
    package func configuration(of node: Int, snapshotInterval: UInt64) -> PlannerConfiguration {
        PlannerConfiguration(
            here: keys[node].nodeID, name: Self.name(node), vrf: keys[node].vrf.publicKey, site: Self.site,
            operatorKey: operatorKey.publicKey, parameters: founding.genesis.parameters, expect: keys.count,
            snapshotInterval: snapshotInterval)
    }

    /// The operator's word that all apps should run.
    package var order: SignedOrder {
        let order = Order(
            genesis: founding.genesis.hash, sequence: 1, act: .submit(apps.map { SubmittedApp(specification: $0) }))
        return SignedOrder(order: order, signature: operatorKey.sign(order.signedBytes))
    }

    /// What a device says that it uses: that of its apps changes each minute, so that now and then a move is worth it.
    package func load(of running: [(app: String, incarnation: UInt64)], at time: Int64) -> LoadMatrix {
        let minute = time / 60_000
        let scores = running.sorted { $0.app < $1.app }.map { app, incarnation in
            var writer = ByteWriter()
            writer.text(app)
            writer.integer(minute)
            let random = Int(Digest(of: writer.bytes, domain: "poise/peaceful-load/1").bytes[0])
            let score = Score(cpu: 10_000 + 500 * random, ram: 20_000 + 40 * random, disk: 3_000, network: 2_000)
            return AppScore(app: app, incarnation: incarnation, score: score)
        }
        let services = ["consensus", "gossip", "migrator", "monitor", "planner"].map {
            AppScore(app: $0, incarnation: 0, score: Score(cpu: 5_000, ram: 9_000, disk: 400, network: 300))
        }
        let device = (scores + services).reduce(20_000) { $0 + ($1.score.cpu ?? 0) }
        return LoadMatrix(
            timestamp: time, device: Score(cpu: device, ram: 300_000, disk: 20_000, network: 15_000), apps: scores,
            services: services,
            capacity: Capacity(
                cpuMillicores: 4_000, ramBytes: 4 << 30, diskBytesPerSecond: 40 << 20,
                networkBytesPerSecond: 100 << 20),
            facts: Facts(
                architecture: "aarch64", kernel: "6.12.47+rpt-rpi-v8", engineVersion: "28.5.1",
                storageDriver: "overlay2", checkpoints: true, pageSize: 4_096))
    }

    package func report(of node: Int, _ load: LoadMatrix) -> Report {
        Report(
            name: Self.name(node), gossipAddress: "\(Self.name(node)):7700",
            migratorAddress: "\(Self.name(node)):7701", vrf: keys[node].vrf.publicKey, load: load)
    }
}
