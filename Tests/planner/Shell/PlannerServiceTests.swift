import Contracts
import Identity
import Logging
import PlannerCore
import Runtime
import Synchronization
import Testing
import Transport

@testable import planner

/// The planner's process on real sockets and a real disk, with gossip and consensus played by the test.
@Suite(.serialized, .timeLimit(.minutes(3))) struct PlannerServiceTests {
    private func height(_ client: LocalClient, atLeast height: UInt64) async throws -> HeadView {
        try await eventually("height \(height)") {
            let head: HeadView = try await client.get("/chain/head")
            return head.height >= height ? head : nil
        }
    }

    private func phase(_ client: LocalClient, _ app: String, _ phase: AppPhase) async throws -> AppStatus {
        try await eventually("\(app) \(phase)") {
            let status: AppStatus = try await client.get("/apps/\(app)")
            return status.phase == phase ? status : nil
        }
    }

    private func problem(
        _ client: LocalClient, _ method: String, _ path: String, _ body: String = ""
    ) async throws -> Problem {
        let response = try await client.response(method, path, body: Array(body.utf8))
        #expect(response.headers["content-type"] == "application/problem+json")
        return try response.decode()
    }

    @Test func anAppsLifeOnASiteOfOne() async throws {
        let (run, state) = (TemporaryDirectory(), TemporaryDirectory())
        let bus = TestBus(nodes: 1)
        let upstream = TestUpstream(bus: bus, index: 0, directory: run.path)
        let gossip = Background { try await upstream.gossip() }
        let consensus = Background { try await upstream.consensus() }
        let planner = try TestPlanner(upstream, expect: 1, state: state.path)
        let running = Background { try await planner.run() }
        let client = planner.client
        _ = try await height(client, atLeast: 3)

        let submitted = SubmittedApp(
            specification: AppSpecification(name: "counter", image: "poise/counter:1"), on: bus.nodes[0].key.nodeID)
        #expect(try await client.order(.submit([submitted])) == 204)
        let placed = try await phase(client, "counter", .placed)
        #expect(placed.node == "pi1" && placed.image == "poise/counter:1")
        // The first placement after a start waits until the others had time to say where they stand.
        let placement = try await eventually("a placement") {
            let placement: Placement = try await client.get("/placement/latest")
            return placement.apps.map(\.specification.name) == ["counter"] ? placement : nil
        }
        #expect(placement.here == bus.nodes[0].key.nodeID)

        let receipt = Receipt(app: "counter", incarnation: placed.incarnation, outcome: .running)
        for _ in 0..<2 {
            #expect(try await client.send("POST", "/receipts", body: try JSON.encode(receipt)).status == 204)
        }
        _ = try await phase(client, "counter", .running)

        let blocks: [BlockSummary] = try await client.get("/chain/blocks?from=1&limit=100")
        #expect(blocks.map(\.height) == (1...UInt64(blocks.count)).map { $0 })
        #expect(blocks.contains { $0.assignments == ["counter": bus.nodes[0].key.nodeID] })
        let raw: [RawBlock] = try await client.get("/chain/blocks?from=2&limit=1&raw=true")
        #expect(raw.map(\.id) == [blocks[1].id])
        let newest: [BlockSummary] = try await client.get("/chain/blocks?limit=2")
        #expect(newest.count == 2 && newest[0].height > 1)
        let genesis: GenesisView = try await client.get("/chain/genesis")
        #expect(genesis.genesis.members.map(\.name) == ["pi1"] && genesis.genesis.parameters.blockInterval == 100)
        let nodes: [NodeStatus] = try await client.get("/nodes")
        #expect(nodes.map(\.apps) == [["counter"]] && nodes[0].present && nodes[0].heard)

        // A line for each block, with what this node's reports in them are worth.
        let told = Mutex<[Commit]>([])
        let commits = Background {
            let socket = "\(run.path)/planner.sock"
            let reader = FeedReader<Commit>("planner", client: HTTPClient(), socket: socket) { _ in "/commits" }
            try await reader.follow { line in told.withLock { $0.append(line) } }
        }
        let lines = try await eventually("four blocks") { told.withLock { $0.count < 4 ? nil : $0 } }
        await commits.stop()
        let first = lines[0].height
        #expect(lines.enumerated().allSatisfy { $1.height == first + UInt64($0) }, "\(lines)")
        #expect(lines.allSatisfy { $0.placement == placement.height || $0.placement ?? 0 > placement.height })
        #expect(lines.allSatisfy { $0.until != nil }, "\(lines)")

        #expect(try await client.order(.remove(app: "counter")) == 204)
        #expect(try await client.get("/apps", as: [AppStatus].self).isEmpty)

        let health: Health = try await client.get("/health")
        #expect(health.status == .pass, "\(health)")
        let metrics = String(decoding: try await client.send("GET", "/metrics").body, as: UTF8.self)
        for name in ["height", "commits_total", "commit_latency_seconds", "store_bytes", "apps{phase=\"running\"}"] {
            #expect(metrics.contains("poise_planner_\(name) "), "\(name)")
        }
        #expect(bus.conflicts.isEmpty)
        for part in [running, consensus, gossip] { await part.stop() }
    }

    @Test func badRequestsAreRefusedByNameAndCounted() async throws {
        let (run, state) = (TemporaryDirectory(), TemporaryDirectory())
        let bus = TestBus(nodes: 1)
        let upstream = TestUpstream(bus: bus, index: 0, directory: run.path)
        let planner = try TestPlanner(upstream, expect: 1, state: state.path)
        let running = Background { try await planner.run() }
        let client = planner.client
        // Before gossip is there it serves, and says what it waits for.
        let starting: Health = try await eventually("health") { try await client.get("/health") }
        #expect(starting.checks["start"]?.status == .warn)
        #expect(try await problem(client, "GET", "/apps").code == "starting")
        #expect(try await problem(client, "POST", "/leave").code == "starting")

        let parts = [Background { try await upstream.gossip() }, Background { try await upstream.consensus() }]
        _ = try await height(client, atLeast: 1)
        func order(_ act: Order.Act, by key: SigningKey = TestPlanner.operatorKey) async throws -> String {
            String(decoding: try await client.orderBody(act, by: key), as: UTF8.self)
        }
        let app = SubmittedApp(specification: AppSpecification(name: "a", image: "i"))
        let far = SubmittedApp(
            specification: app.specification, on: NodeID(unchecked: [UInt8](repeating: 9, count: 32)))
        let cases: [(String, String, String, Int, String)] = [
            ("POST", "/orders", "{", 400, "invalid-json"), ("POST", "/orders", "{}", 400, "invalid-json"),
            ("POST", "/orders", "{\"order\":\"AAAA\"}", 400, "bad-order"),
            ("POST", "/orders", try await order(.submit([])), 409, "empty-submission"),
            ("POST", "/orders", try await order(.submit([far])), 404, "unknown-node"),
            ("POST", "/orders", try await order(.submit([app]), by: bus.nodes[0].key), 403, "bad-order-signature"),
            ("POST", "/orders", try await order(.remove(app: "nothing")), 404, "unknown-app"),
            ("POST", "/orders", try await order(.dismiss(bus.nodes[0].key.nodeID)), 409, "last-member"),
            ("POST", "/leave", "", 409, "last-member"), ("GET", "/apps/nothing", "", 404, "unknown-app"),
            ("POST", "/receipts", "{\"app\":1}", 400, "invalid-json"),
            ("GET", "/chain/blocks?limit=1000", "", 400, "invalid-query"),
            ("GET", "/chain/blocks?from=0", "", 400, "invalid-query"), ("GET", "/nowhere", "", 404, "not-found"),
            ("POST", "/orders", String(repeating: " ", count: PlannerRoutes.orderLimit + 1), 413, "body-too-large"),
        ]
        for (method, path, body, status, code) in cases {
            let problem = try await problem(client, method, path, body)
            #expect(
                problem.status == status && problem.code == code, "\(method) \(path) \(body.prefix(80)): \(problem)")
        }
        #expect(try await client.get("/apps", as: [AppStatus].self).isEmpty, "none of it did anything")

        let metrics = String(decoding: try await client.send("GET", "/metrics").body, as: UTF8.self)
        #expect(metrics.contains("poise_planner_refused_total{reason=\"invalid-json\"} 3"))
        #expect(metrics.contains("poise_planner_refused_total{reason=\"unknown-node\"} 1"))
        #expect(metrics.contains("poise_planner_refused_total{reason=\"bad-order-signature\"} 1"))
        for part in [running] + parts { await part.stop() }
    }

    @Test func itOutlivesItsUpstreams() async throws {
        let (run, state) = (TemporaryDirectory(), TemporaryDirectory())
        let bus = TestBus(nodes: 1)
        let upstream = TestUpstream(bus: bus, index: 0, directory: run.path)
        var gossip = Background { try await upstream.gossip() }
        var consensus = Background { try await upstream.consensus() }
        let planner = try TestPlanner(upstream, expect: 1, state: state.path)
        let running = Background { try await planner.run() }
        let client = planner.client
        var head = try await height(client, atLeast: 2)

        await gossip.stop()
        let warned: Health = try await eventually("a warning") {
            let health: Health = try await client.get("/health")
            return health.checks["gossip"]?.status == .warn ? health : nil
        }
        #expect(warned.status == .warn)
        gossip = Background { try await upstream.gossip() }
        head = try await height(client, atLeast: head.height + 3)

        await consensus.stop()
        let told = upstream.headCount
        consensus = Background { try await upstream.consensus() }
        _ = try await eventually("the head told again") { upstream.headCount > told ? true : nil }
        head = try await height(client, atLeast: head.height + 3)
        #expect(upstream.head?.genesis == head.genesis && upstream.head?.members.map(\.id) == head.members.map(\.id))
        #expect(upstream.head?.members.map(\.vrf) == head.members.map(\.vrf))
        #expect(upstream.head?.epochSeed == Draw.firstSeed(of: head.genesis) && upstream.head?.seed != .zero)
        #expect(bus.conflicts.isEmpty)
        for part in [running, consensus, gossip] { await part.stop() }
    }

    @Test func afterARestartTheChainGoesOn() async throws {
        let (run, state) = (TemporaryDirectory(), TemporaryDirectory())
        let bus = TestBus(nodes: 1)
        let upstream = TestUpstream(bus: bus, index: 0, directory: run.path)
        let parts = [Background { try await upstream.gossip() }, Background { try await upstream.consensus() }]
        var before: HeadView?
        for _ in 0..<3 {
            // One after the other on one directory: the lock of the former must be gone.
            let planner = try await eventually("the lock") { try TestPlanner(upstream, expect: 1, state: state.path) }
            let running = Background { try await planner.run() }
            let client = planner.client
            let head = try await height(client, atLeast: (before?.height ?? 0) + 3)
            if let before {
                #expect(head.genesis == before.genesis)
                let blocks: [BlockSummary] = try await client.get("/chain/blocks?from=\(before.height)&limit=1")
                #expect(blocks.map(\.id) == [before.id], "a committed block is never another")
            }
            before = head
            await running.stop()
        }
        #expect(bus.conflicts.isEmpty)
        for part in parts { await part.stop() }
    }

    @Test func aStartBeginsAtTheSnapshotIfItIsSound() async throws {
        let (run, state) = (TemporaryDirectory(), TemporaryDirectory())
        let bus = TestBus(nodes: 1)
        let upstream = TestUpstream(bus: bus, index: 0, directory: run.path)
        let parts = [Background { try await upstream.gossip() }, Background { try await upstream.consensus() }]
        let planner = try TestPlanner(upstream, expect: 1, state: state.path, snapshots: 1)
        let running = Background { try await planner.run() }
        _ = try await eventually("a snapshot") { try planner.service.store.snapshot() }
        _ = try await height(planner.client, atLeast: 4)
        await running.stop()
        let (store, reader) = (planner.service.store, planner.service.chain)
        let log = Logger(label: "test")
        let genesis = try store.genesis()
        let quick = try ChainReplay.chain(genesis: genesis, store: store, reader: reader, log: log)?.state
        #expect(try quick?.height == reader.height())
        try store.persist(StoredSnapshot(height: 1, bytes: [1, 2, 3]))
        let whole = try ChainReplay.chain(genesis: genesis, store: store, reader: reader, log: log)?.state
        #expect(whole == quick, "a snapshot that can't be read is passed over")
        for part in parts { await part.stop() }
    }

    @Test func aSiteIsNotFoundedBeforeAllAreThere() async throws {
        let (run, state) = (TemporaryDirectory(), TemporaryDirectory())
        let bus = TestBus(nodes: 1)
        let upstream = TestUpstream(bus: bus, index: 0, directory: run.path)
        let parts = [Background { try await upstream.gossip() }, Background { try await upstream.consensus() }]
        let planner = try TestPlanner(upstream, expect: 2, state: state.path)
        let running = Background { try await planner.run() }
        let client = planner.client
        let health: Health = try await eventually("its own report") {
            let health: Health = try await client.get("/health")
            return health.checks["genesis"]?.output?.contains("1 of 2") == true ? health : nil
        }
        #expect(health.status == .warn && health.checks["genesis"]?.output?.contains("pi1") == true)
        for path in ["/nodes", "/chain/head", "/chain/genesis"] {
            let problem = try await problem(client, "GET", path)
            #expect(problem.code == "not-founded" && problem.detail.contains("1 of 2"), "\(problem)")
        }
        #expect(try await problem(client, "GET", "/placement/latest").code == "no-placement")
        let order = Order(genesis: .zero, sequence: 1, act: .remove(app: "a"))
        let signed = SignedOrder(order: order, signature: TestPlanner.operatorKey.sign(order.signedBytes))
        let body = try JSON.encode(OrderRequest(order: Base64Bytes(signed.encoded)))
        #expect(
            try await problem(client, "POST", "/orders", String(decoding: body, as: UTF8.self)).code == "not-founded")
        for part in [running] + parts { await part.stop() }
    }

    /// Three devices agree; one is stopped, misses blocks, comes back and catches up from the others.
    @Test func threePlannersAgree() async throws {
        let bus = TestBus(nodes: 3)
        let directories = (0..<3).map { _ in (run: TemporaryDirectory(), state: TemporaryDirectory()) }
        let upstreams = (0..<3).map { TestUpstream(bus: bus, index: $0, directory: directories[$0].run.path) }
        var parts: [Background] = []
        for upstream in upstreams {
            parts.append(Background { try await upstream.gossip() })
            parts.append(Background { try await upstream.consensus() })
        }
        var planners: [TestPlanner?] = try (0..<3).map {
            try TestPlanner(upstreams[$0], expect: 3, state: directories[$0].state.path, interval: 200)
        }
        var running = planners.compactMap { planner in planner.map { planner in Background { try await planner.run() } }
        }
        let clients = planners.compactMap { $0?.client }
        for client in clients { _ = try await height(client, atLeast: 3) }

        await running[2].stop()
        planners[2] = nil
        running[2] = Background {}
        let apps = ["a", "b"].map { SubmittedApp(specification: AppSpecification(name: $0, image: "i")) }
        #expect(try await clients[1].order(.submit(apps)) == 204)
        let there = try await height(clients[0], atLeast: 8)

        let back = try await eventually("the lock") {
            try TestPlanner(upstreams[2], expect: 3, state: directories[2].state.path, interval: 200)
        }
        running[2] = Background { try await back.run() }
        for client in clients {
            _ = try await height(client, atLeast: there.height + 3)
            let blocks: [BlockSummary] = try await client.get("/chain/blocks?from=\(there.height)&limit=1")
            #expect(blocks.map(\.id) == [there.id], "one chain")
            #expect(try await client.get("/apps", as: [AppStatus].self).map(\.name) == ["a", "b"])
        }
        #expect(bus.conflicts.isEmpty)
        for part in running + parts { await part.stop() }
    }
}
