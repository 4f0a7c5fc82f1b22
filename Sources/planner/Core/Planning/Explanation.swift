import Contracts

/// Why an app is where it is, and why not elsewhere: what `planner explain` shows.
public struct Explanation: Codable, Hashable, Sendable {
    /// One node as a place for the app.
    public struct Candidate: Codable, Hashable, Sendable {
        public var node: String
        /// Whether the app is there now.
        public var holds: Bool
        /// Effective load and total in thousandths of a core; nil for a node that gets no apps.
        public var loadMillicores: Int64?
        public var capacityMillicores: Int64?
        /// Why the app is not there; empty where it is, or where it could be.
        public var refusal: String
    }

    public var app: String
    /// The block after which this holds.
    public var height: UInt64
    public var phase: AppPhase
    public var node: String?
    public var incarnation: UInt64
    /// Block time since when, milliseconds since 1970.
    public var since: Int64
    /// What brought it there, as the chain remembers it; empty where nothing happened but a placement.
    public var reason: String
    public var strategy: String
    /// What it is taken to need, thousandths of a core and bytes of memory, and whether that was measured.
    public var demandMillicores: Int64
    public var demandBytes: Int64
    public var isMeasured: Bool
    /// Why the plan of the next block doesn't move or place it, or what that plan does.
    public var rule: String
    /// In ascending order of name.
    public var candidates: [Candidate]
}

extension SiteState {
    /// - Returns: nil if no app has this name.
    public func explanation(of name: String) -> Explanation? {
        guard let app = apps[name] else { return nil }
        let load = EffectiveLoad(self)
        let need = app.steadyDemand ?? app.demand ?? Resources(cpu: parameters.declaredDemand)
        let candidates = members.sorted { $0.name < $1.name }.map { member in
            let row = load[member.id]
            let holds = app.node == member.id && app.phase.isPlaced
            return Explanation.Candidate(
                node: member.name, holds: holds, loadMillicores: row?.load, capacityMillicores: row?.capacity,
                refusal: holds ? "" : refusal(of: member.id, for: app, need, load))
        }
        return Explanation(
            app: name, height: height, phase: app.phase, node: app.node.map { self.name(of: $0) },
            incarnation: app.incarnation, since: app.since, reason: app.reason, strategy: parameters.strategy,
            demandMillicores: need.cpu, demandBytes: need.ram, isMeasured: app.demand != nil, rule: rule(for: app),
            candidates: candidates)
    }

    /// What keeps the app from a node, first of all.
    private func refusal(of node: NodeID, for app: AppRecord, _ need: Resources, _ load: EffectiveLoad) -> String {
        guard let record = nodes[node], let report = record.report else { return "it has not reported yet" }
        if record.absent { return "it is silent" }
        if record.drainsUntil != nil { return "it is about to leave" }
        if let home = app.home, app.phase == .pending, home != node {
            return "\(name(of: home)) has the app's volumes"
        }
        if let obstacle = obstacle(to: app.specification, on: node) { return obstacle.description }
        if let exclusion = app.exclusions.first(where: { $0.node == node && $0.until > time }) {
            return "it refused or failed the app, and is asked again in \((exclusion.until - time + 999) / 1_000) s"
        }
        if app.phase.isPlaced, let source = app.node.flatMap({ nodes[$0]?.report?.load.facts }),
            !Feasibility.canRestore(source, report.load.facts)
        {
            return "it can't restore what \(app.node.map { name(of: $0) } ?? "") has checkpointed"
        }
        if let lack = lack(of: node, for: need, report, load) { return lack }
        return app.phase.isPlaced ? gain(app, need, to: node, load) : ""
    }

    /// What the node has too little of.
    private func lack(of node: NodeID, for need: Resources, _ report: Report, _ load: EffectiveLoad) -> String? {
        guard let row = load[node] else { return nil }
        if row.load + need.cpu > row.capacity {
            return "its processor would be used to \((row.load + need.cpu) * 100 / row.capacity) %"
        }
        let total = Int64(report.load.capacity.ramBytes)
        let used = Resources(report.load.device, of: report.load.capacity).ram
        return used + need.ram > total
            ? "its memory would be used to \((used + need.ram) * 100 / max(1, total)) %" : nil
    }

    /// What a move there would do to the difference in load, in words.
    private func gain(_ app: AppRecord, _ need: Resources, to node: NodeID, _ load: EffectiveLoad) -> String {
        guard let here = app.node.flatMap({ load[$0] }), let there = load[node] else { return "" }
        let now = abs(here.score - there.score)
        let then = abs(
            EffectiveLoad.score(here.load - need.cpu, of: here.capacity)
                - EffectiveLoad.score(there.load + need.cpu, of: there.capacity))
        func tenths(_ ppm: Int64) -> String { "\(ppm / 10_000).\(ppm / 1_000 % 10)" }
        let words = "their processors' loads would differ by \(tenths(then)) points, not \(tenths(now))"
        return then >= now ? "a move would not level them: \(words)" : "a move is not worth its price: \(words)"
    }

    /// What the next block does with the app, or what keeps a strategy from looking at it.
    private func rule(for app: AppRecord) -> String {
        guard let plan = nextPlan else { return "the strategy \(parameters.strategy) is unknown to this version" }
        if let move = plan.moves.first(where: { $0.app == app.name }) { return "it moves to \(name(of: move.to)) next" }
        if let assignment = plan.assignments.first(where: { $0.app == app.name }) {
            return "it is placed on \(name(of: assignment.node)) next"
        }
        switch app.phase {
        case .completed, .failed: return "it has ended"
        case .moving: return "it is on its way"
        case .placed: return "its device was told to start it"
        case .pending:
            if app.isWaiting, let home = app.node { return "it waits for \(name(of: home)), which has its volumes" }
            return whyNowhere(app.specification) ?? "no device has room for it"
        case .running: return restingRule(for: app)
        }
    }

    private func restingRule(for app: AppRecord) -> String {
        if !app.movesLive { return "it may not be moved while it runs (poise.move)" }
        if app.measured != app.incarnation { return "it has not been measured where it is" }
        let rested = time - app.movedAt
        if parameters.strategy == BalanceStrategy.name, app.movedAt > 0, rested < parameters.coolDown {
            return "it was moved lately and rests for \((parameters.coolDown - rested + 999) / 1_000) s more"
        }
        return "no move of it is worth its price"
    }
}
