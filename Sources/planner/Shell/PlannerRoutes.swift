import Contracts
import Hummingbird
import PlannerCore
import Runtime

/// `planner.sock`: decoding, asking the core, answering. `openapi.yaml` describes it.
struct PlannerRoutes {
    /// Bytes of an order's JSON: the largest order in base 64, and room.
    static let orderLimit = 1 << 20
    /// The core answers within ten seconds; this is for a core that doesn't.
    static let patience = Duration.seconds(20)
    static let blockLimit = 100
    /// Bytes of blocks in one answer.
    static let blockBytes = 4 << 20

    let service: PlannerService

    func add(to router: ServiceRouter) {
        router.get("placement") { _, context in
            Response.ndjson(service.placements.feed(), context: context)
        }
        router.get("commits") { _, context in
            Response.ndjson(service.commits.feed(), context: context)
        }
        router.get("placement/latest") { _, _ in
            guard let placement = service.placements.newest else {
                throw Problem(503, "no-placement", "no placement is known yet: `planner health` says what is missing")
            }
            return try Response.json(placement)
        }
        router.get("apps") { _, _ in try Response.json(try await service.core().read { $0.appStatuses }) }
        router.get("apps/:name") { _, context in try await app(try context.parameter("name")) }
        router.get("apps/:name/explanation") { _, context in
            try await explanation(try context.parameter("name"))
        }
        router.post("orders") { request, _ in try await counted { try await order(request) } }
        router.get("chain/recovery") { request, _ in try await recoveryDraft(request) }
        router.post("recoveries") { request, _ in try await counted { try await recover(request) } }
        router.post("leave") { _, _ in try await counted { try await leave() } }
        router.post("receipts") { request, _ in try await counted { try await take(request) } }
        router.get("nodes") { _, _ in
            let core = try await founded()
            return try Response.json(await core.read { $0.nodeStatuses })
        }
        router.get("chain/head") { _, _ in
            let core = try await founded()
            let site = service.settings.site
            guard let head = await core.read({ $0.state.map { HeadView($0, site: site) } }) else {
                throw Problem(503, "not-founded", "the site is not founded yet")
            }
            return try Response.json(head)
        }
        router.get("chain/genesis") { _, _ in try await genesis() }
        router.get("chain/blocks") { request, _ in try blocks(request) }
    }

    /// Counts the requests that are refused, by the problem's code.
    private func counted(_ body: () async throws -> Response) async throws -> Response {
        do { return try await body() } catch let problem as Problem {
            service.metrics.refused(problem.code)
            throw problem
        }
    }

    /// The core of a site that is founded.
    private func founded() async throws -> PlannerLoop {
        let core = try service.core()
        let (isFounded, obstacle) = await core.read { ($0.state != nil, $0.foundingStatus.obstacle) }
        guard isFounded else {
            throw Problem(503, "not-founded", "the site is not founded yet: \(obstacle ?? "")")
        }
        return core
    }

    private func app(_ name: String) async throws -> Response {
        let statuses = try await service.core().read { $0.appStatuses }
        guard let status = statuses.first(where: { $0.name == name }) else {
            throw Problem(
                404, "unknown-app", "no app is named \"\(name.prefix(80))\": `planner apps` lists those there are")
        }
        return try Response.json(status)
    }

    private func explanation(_ name: String) async throws -> Response {
        let core = try await founded()
        guard let explanation = await core.read({ $0.state?.explanation(of: name) }) else {
            throw Problem(
                404, "unknown-app", "no app is named \"\(name.prefix(80))\": `planner apps` lists those there are")
        }
        return try Response.json(explanation)
    }

    private func order(_ request: Request) async throws -> Response {
        let body = try await request.json(OrderRequest.self, limit: Self.orderLimit)
        let order: SignedOrder
        do { order = try SignedOrder(encoded: body.order.bytes) } catch {
            throw Problem(400, "bad-order", "the order can't be read: \(error)")
        }
        let core = try service.core()
        try await service.requests.ask(timeout: Self.patience) { service.tell(core, .order($0, order)) }
        return Response.empty()
    }

    private func recoveryDraft(_ request: Request) async throws -> Response {
        let lost = request.text("without").map { $0.split(separator: ",").map(String.init) } ?? []
        let rule = try request.text("quorum").map { text in
            guard let rule = QuorumRule(rawValue: text) else {
                throw Problem(400, "bad-query", "quorum is \"\(text.prefix(80))\": allowed are crash and byzantine")
            }
            return rule
        }
        let isForced = request.text("force") == "true"
        let core = try await founded()
        let genesis = try await core.read { machine in
            Result { () throws(Problem) in try machine.recoveryDraft(without: lost, rule: rule, force: isForced) }
        }.get()
        return try Response.json(RecoveryDraft(genesis))
    }

    private func recover(_ request: Request) async throws -> Response {
        let body = try await request.json(RecoveryRequest.self, limit: Self.orderLimit)
        let recovery: Recovery
        do { recovery = try Recovery(encoded: body.recovery.bytes) } catch {
            throw Problem(400, "bad-recovery", "the recovery can't be read: \(error)")
        }
        let core = try service.core()
        try await service.requests.ask(timeout: Self.patience) {
            service.tell(core, .recover($0, recovery, force: body.force ?? false))
        }
        return Response.empty()
    }

    private func leave() async throws -> Response {
        let core = try service.core()
        try await service.requests.ask(timeout: Self.patience) { service.tell(core, .leave($0)) }
        return Response.empty()
    }

    private func take(_ request: Request) async throws -> Response {
        let receipt = try await request.json(Receipt.self, limit: 64 << 10)
        let core = try service.core()
        try await service.requests.ask(timeout: Self.patience) { service.tell(core, .receipt($0, receipt)) }
        return Response.empty()
    }

    private func genesis() async throws -> Response {
        let core = try await founded()
        guard let genesis = await core.read({ $0.genesis }), let signed = try service.chain.genesis() else {
            throw Problem(503, "not-founded", "the site is not founded yet")
        }
        return try Response.json(
            GenesisView(
                hash: genesis.hash, genesis: genesis,
                recoveries: try FoundingRecord(encoded: signed).recoveries.map(RecoveryView.init),
                signed: Base64Bytes(signed)))
    }

    private func blocks(_ request: Request) throws -> Response {
        let last = try service.chain.height()
        let limit = try request.integer("limit", default: 10, in: 1...Self.blockLimit)
        // Without `from` the newest.
        let newest = Int(clamping: last) - limit + 1
        let from = try request.integer("from", default: max(1, newest), in: 1...Int.max)
        let blocks = try service.chain.blocks(from: UInt64(from), limit: limit, bytes: Self.blockBytes)
        if request.text("raw") == "true" { return try Response.json(blocks.map(RawBlock.init)) }
        return try Response.json(try blocks.map { try BlockSummary($0) })
    }
}
