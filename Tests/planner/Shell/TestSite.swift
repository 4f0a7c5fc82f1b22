import Contracts
import Hummingbird
import Identity
import PlannerCore
import Runtime
import Synchronization
import Transport

@testable import planner

/// What the gossips of a site are to its planners: whoever publishes is signed and heard by all, itself included.
final class TestBus: Sendable {
    struct Node: Sendable {
        var key: SigningKey
        var name: String
    }

    private struct State {
        var sequence: UInt64 = 0
        var logs: [NodeID: [FeedMessage]] = [:]
        var feeds: [NodeID: Broadcast<FeedMessage>] = [:]
        /// What was signed for each height, round and step.
        var votes: [String: [UInt8]] = [:]
        var conflicts: [String] = []
        var cpu: [NodeID: Int] = [:]
        var apps: [NodeID: [AppScore]] = [:]
    }

    let nodes: [Node]
    private let state = Mutex(State())

    init(nodes count: Int) {
        nodes = (0..<count).compactMap { index in
            SigningKey(seed: [UInt8](repeating: UInt8(index + 1), count: 32)).map {
                Node(key: $0, name: "pi\(index + 1)")
            }
        }
        state.withLock { state in
            for node in nodes { state.feeds[node.key.nodeID] = Broadcast() }
        }
    }

    var conflicts: [String] { state.withLock { $0.conflicts } }

    func set(cpu: Int, apps: [AppScore] = [], on index: Int) {
        state.withLock { state in
            state.cpu[nodes[index].key.nodeID] = cpu
            state.apps[nodes[index].key.nodeID] = apps
        }
    }

    @discardableResult
    func publish(_ publication: Publication, from node: Node) -> SignedMessage {
        state.withLock { state in
            state.sequence += 1
            let unsigned = SignedMessage(
                kind: publication.kind, sender: node.key.nodeID, sequence: state.sequence,
                payload: publication.payload.bytes, signature: .zero)
            var message = unsigned
            message.signature = node.key.sign(unsigned.signedBytes(site: .site(named: "test")))
            for receiver in nodes.map(\.key.nodeID)
            where publication.to == nil || publication.to == receiver || receiver == node.key.nodeID {
                let line = FeedMessage(cursor: "1.\(state.logs[receiver]?.count ?? 0)", message: message)
                state.logs[receiver, default: []].append(line)
                state.feeds[receiver]?.send(line)
            }
            return message
        }
    }

    func feed(of node: Node, after cursor: String?) -> AsyncStream<FeedMessage> {
        state.withLock { state in
            let log = state.logs[node.key.nodeID] ?? []
            let next = cursor.flatMap { Int($0.dropFirst(2)) }.map { $0 + 1 } ?? 0
            let feed = state.feeds[node.key.nodeID] ?? Broadcast()
            return feed.subscribe(limit: 4_096, first: Array(log.dropFirst(next)))
        }
    }

    func sign(_ request: SigningRequest, by node: Node) throws -> SigningResponse {
        let bytes = request.bytes.bytes
        if request.purpose == .vote, let vote = try? Vote(encoded: bytes) {
            let ballot = "\(node.name) \(vote.height) \(vote.round) \(vote.step)"
            let known = state.withLock { state in
                let known = state.votes[ballot]
                state.votes[ballot] = known ?? bytes
                if let known, known != bytes { state.conflicts.append(ballot) }
                return known
            }
            if let known, known != bytes { throw Problem(409, "conflicting-vote", ballot) }
        }
        return SigningResponse(signer: node.key.nodeID, signature: node.key.sign(bytes))
    }

    /// What the node's gossip would report of it.
    func report(_ node: Node) -> Report {
        let (cpu, apps) = state.withLock { ($0.cpu[node.key.nodeID] ?? 50_000, $0.apps[node.key.nodeID] ?? []) }
        let load = LoadMatrix(
            timestamp: WallClock.nowMilliseconds(), device: Score(cpu: cpu, ram: 100_000), apps: apps, services: [],
            capacity: Capacity(
                cpuMillicores: 4_000, ramBytes: 4 << 30, diskBytesPerSecond: 1 << 26, networkBytesPerSecond: 1 << 27),
            facts: Facts(
                architecture: "x86_64", kernel: "6.1", engineVersion: "26", storageDriver: "overlay2",
                checkpoints: true,
                pageSize: 4_096))
        return Report(
            name: node.name, gossipAddress: "\(node.name):7700", migratorAddress: "\(node.name):7701",
            vrf: node.key.vrf.publicKey, load: load)
    }
}

/// The gossip and consensus of one device, as its planner sees them.
final class TestUpstream: Sendable {
    let bus: TestBus
    let node: TestBus.Node
    let directory: String
    private let heads = Mutex<[SiteHead]>([])
    private let leadership = Mutex(Leadership(engine: "test", term: 1, leader: nil))
    private let leaders = Broadcast<Leadership>()

    init(bus: TestBus, index: Int, directory: String) {
        self.bus = bus
        node = bus.nodes[index]
        self.directory = directory
        lead(by: bus.nodes[0].key.nodeID)
    }

    var head: SiteHead? { heads.withLock { $0.last } }
    var headCount: Int { heads.withLock { $0.count } }

    func lead(by leader: NodeID?) {
        let now = Leadership(engine: "test", term: 1, leader: leader)
        leadership.withLock { $0 = now }
        leaders.send(now)
    }

    /// Serves `gossip.sock` until cancelled.
    func gossip() async throws {
        let host = ServiceHost(service: "gossip", runDirectory: directory, openapi: [], metrics: Metrics()) { [:] }
        struct Node: Encodable {
            var id: NodeID
            var vrf: VRFKey
            var name: String
            var site: String
        }
        host.router.get("node") { [node] _, _ in
            try Response.json(Node(id: node.key.nodeID, vrf: node.key.vrf.publicKey, name: node.name, site: "test"))
        }
        host.router.get("messages") { [bus, node] request, context in
            Response.ndjson(bus.feed(of: node, after: request.text("cursor")), context: context)
        }
        host.router.post("messages") { [bus, node] request, _ in
            let publication = try await request.json(Publication.self, limit: 4 << 20)
            return try Response.json(bus.publish(publication, from: node))
        }
        host.router.post("sign") { [bus, node] request, _ in
            try Response.json(try bus.sign(try await request.json(SigningRequest.self), by: node))
        }
        host.router.post("vrf") { [node] request, _ in
            let alpha = try await request.json(DrawRequest.self).alpha.bytes
            return try Response.json(
                DrawResponse(key: node.key.vrf.publicKey, proof: node.key.vrf.prove(alpha)))
        }
        try await host.run(tasks: [
            ServiceTask("reports") { [bus, node] in
                while true {
                    bus.publish(Publication(kind: .report, payload: bus.report(node).encoded), from: node)
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        ])
    }

    /// Serves `consensus.sock` until cancelled.
    func consensus() async throws {
        let host = ServiceHost(service: "consensus", runDirectory: directory, openapi: [], metrics: Metrics()) { [:] }
        host.router.put("head") { request, _ in
            let head = try await request.json(SiteHead.self)
            self.heads.withLock { $0.append(head) }
            return Response.empty()
        }
        host.router.post("blame") { request, _ in
            _ = try await request.json(Blame.self)
            return Response.empty()
        }
        host.router.get("leadership") { _, context in
            let now = self.leadership.withLock { $0 }
            return Response.ndjson(self.leaders.subscribe(first: [now]), context: context)
        }
        try await host.run(tasks: [])
    }
}

/// A planner on sockets of its own.
struct TestPlanner: Sendable {
    static let operatorKey = SigningKey(seed: [UInt8](repeating: 99, count: 32))!

    let service: PlannerService
    let client: LocalClient

    init(_ upstream: TestUpstream, expect: Int, state: String, interval: Int64 = 100, snapshots: UInt64 = 500) throws {
        let settings = try PlannerSettings(
            PlannerOptions.parse([]),
            Settings(
                config: nil,
                environment: [
                    "POISE_NAME": upstream.node.name, "POISE_SITE": "test", "POISE_EXPECT": "\(expect)",
                    "POISE_BLOCK_INTERVAL_MS": "\(interval)", "POISE_IDLE_INTERVAL_MS": "\(interval)",
                    "POISE_ABSENT_AFTER_MS": "3000", "POISE_OPERATOR": "\(Self.operatorKey.publicKey)",
                ]))
        service = try PlannerService(
            settings: settings, runDirectory: upstream.directory, stateDirectory: state, snapshotInterval: snapshots)
        client = LocalClient("planner", runDirectory: upstream.directory)
    }

    func run() async throws {
        let health = PlannerHealth(service: service)
        let host = ServiceHost(
            service: "planner", runDirectory: (client.socket as String).dropSuffix("/planner.sock"), openapi: [1],
            metrics: service.metrics.registry, health: { await health.checks() })
        PlannerRoutes(service: service).add(to: host.router)
        let service = service
        try await host.run(tasks: [ServiceTask("planner") { try await service.run() }])
    }
}

extension LocalClient {
    /// An order's body, signed by the test's operator or somebody else.
    func orderBody(_ act: Order.Act, by key: SigningKey = TestPlanner.operatorKey) async throws -> [UInt8] {
        let head: HeadView = try await get("/chain/head")
        let order = Order(genesis: head.genesis, sequence: WallClock.microseconds(), act: act)
        let signed = SignedOrder(order: order, signature: key.sign(order.signedBytes))
        return try JSON.encode(OrderRequest(order: Base64Bytes(signed.encoded)))
    }

    func order(_ act: Order.Act) async throws -> Int {
        try await send("POST", "/orders", body: try await orderBody(act)).status
    }
}

extension String {
    fileprivate func dropSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}

/// Something that runs until this value is told to end it.
final class Background: Sendable {
    private let task: Task<Void, any Error>

    init(_ body: @escaping @Sendable () async throws -> Void) { task = Task { try await body() } }

    /// Ends it and waits until it has ended.
    func stop() async {
        task.cancel()
        _ = await task.result
    }

    deinit { task.cancel() }
}

struct TimedOut: Error, CustomStringConvertible {
    var description: String
}

/// Asks again and again until there is an answer; the test fails if there is none in time.
func eventually<T: Sendable>(
    _ what: String, within limit: Duration = .seconds(30), _ body: @Sendable () async throws -> T?
) async throws -> T {
    let end = ContinuousClock.now + limit
    var last = ""
    while true {
        // Other tests may keep this one from the processor for long: only a look begun after the end counts.
        let isLast = ContinuousClock.now >= end
        do {
            if let value = try await body() { return value }
        } catch {
            last = ": \(error)"
        }
        guard !isLast else { throw TimedOut(description: "\(what) did not happen within \(limit)\(last)") }
        try await Task.sleep(for: .milliseconds(30))
    }
}
