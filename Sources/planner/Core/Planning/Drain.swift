import Contracts

extension SiteState {
    /// The plan of the next block: the strategy's, and the moves off nodes that leave. Nil if the strategy is unknown here.
    var nextPlan: Plan? { Strategies.of(parameters).map { Drain(self).extend($0.plan(for: self)) } }
}

/// Moves apps off nodes that are about to leave, whatever that does to the balance. Strategies take such a node for gone.
struct Drain {
    private let state: SiteState

    init(_ state: SiteState) { self.state = state }

    func extend(_ plan: Plan) -> Plan {
        let leaving = state.members.filter { state.nodes[$0.id]?.drainsUntil != nil }.map(\.id)
        guard !leaving.isEmpty else { return plan }
        var plan = plan
        var load = EffectiveLoad(state)
        var slots = slots(plan)
        for assignment in plan.assignments {
            guard let app = state.apps[assignment.app], let row = load.row(of: assignment.node) else { continue }
            load.add(demand(of: app), toRow: row)
        }
        // Largest first, as they are the hardest to find room for.
        let apps = state.apps.ascending.filter { app in
            app.phase == .running && app.movesLive && app.node.map(leaving.contains) == true
        }.sorted { (demand(of: $1), $0.name) < (demand(of: $0), $1.name) }
        for app in apps where plan.moves.count < Plan.limit {
            guard let from = app.node, slots[from, default: 0] < Census.movesPerNode,
                let target = target(for: app, from: from, load, slots), let row = load.row(of: target)
            else { continue }
            slots[from, default: 0] += 1
            slots[target, default: 0] += 1
            load.add(demand(of: app), toRow: row)
            plan.moves.append(Move(app: app.name, from: from, to: target))
        }
        plan.moves.sort { $0.app < $1.app }
        return plan
    }

    private func demand(of app: AppRecord) -> Int64 { EffectiveLoad.demand(of: app, state.parameters) }

    /// Moves in which each node takes part, with those that the plan begins.
    private func slots(_ plan: Plan) -> [NodeID: Int] {
        var slots: [NodeID: Int] = [:]
        for app in state.apps.values {
            guard let move = app.move else { continue }
            for node in [app.node, move.to] { if let node { slots[node, default: 0] += 1 } }
        }
        for move in plan.moves {
            slots[move.from, default: 0] += 1
            slots[move.to, default: 0] += 1
        }
        return slots
    }

    /// The least loaded node that may run the app and can restore it.
    private func target(for app: AppRecord, from: NodeID, _ load: EffectiveLoad, _ slots: [NodeID: Int]) -> NodeID? {
        guard let source = state.nodes[from]?.report?.load.facts else { return nil }
        return load.least { node in
            guard slots[node, default: 0] < Census.movesPerNode, !app.excludes(node, at: state.time),
                state.obstacle(to: app.specification, on: node) == nil,
                let facts = state.nodes[node]?.report?.load.facts
            else { return false }
            return Feasibility.canRestore(source, facts)
        }?.node
    }
}
