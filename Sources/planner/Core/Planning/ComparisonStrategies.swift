import Contracts
import Machine

// What a simulation compares with. None of these moves anything.

/// The node with the fewest apps, as a round robin would place.
public struct SpreadStrategy: Strategy {
    public static let name = "spread"

    public init() {}

    public func plan(for state: SiteState, _ terms: PlanningTerms) -> Plan {
        var counts: [NodeID: Int64] = [:]
        for app in state.apps.values where app.phase.isPlaced {
            if let node = app.move?.to ?? app.node { counts[node, default: 0] += 1 }
        }
        let load = EffectiveLoad(state, terms.basis)
        var order = LoadOrder(load.rows.map { counts[$0.node] ?? 0 })
        return Plan(
            assignments: state.queue.prefix(terms.limit).compactMap { name in
                guard let row = order.ascending.first else { return nil }
                let node = load.rows[row].node
                counts[node, default: 0] += 1
                order.update(row, counts[node] ?? 0)
                return Assignment(app: name, node: node)
            })
    }
}

/// What Kubernetes' scheduler does by default with requests of processor time: of the nodes where an app fits, the one with
/// the most left (`NodeResourcesFit`, scoring `LeastAllocated`), in the order of the queue. What fits nowhere waits.
public struct LeastAllocatedStrategy: Strategy {
    public static let name = "least-allocated"

    public init() {}

    public func plan(for state: SiteState, _ terms: PlanningTerms) -> Plan {
        var load = EffectiveLoad(state, terms.basis)
        var order = LoadOrder(load.rows.map(\.score))
        return Plan(
            assignments: state.queue.prefix(terms.limit).compactMap { name in
                guard let app = state.apps[name] else { return nil }
                let demand = EffectiveLoad.demand(of: app, state.parameters)
                let fitting = order.ascending.first { load.rows[$0].load + demand <= load.rows[$0].capacity }
                guard let row = fitting else { return nil }
                load.add(demand, toRow: row)
                order.update(row, load.rows[row].score)
                return Assignment(app: name, node: load.rows[row].node)
            })
    }
}

/// Any node, by a generator that begins with the state's height.
public struct RandomStrategy: Strategy {
    public static let name = "random"

    public init() {}

    public func plan(for state: SiteState, _ terms: PlanningTerms) -> Plan {
        let load = EffectiveLoad(state, terms.basis)
        guard !load.rows.isEmpty else { return Plan() }
        var random = SplitMix64(seed: state.height)
        return Plan(
            assignments: state.queue.prefix(terms.limit).map { name in
                Assignment(app: name, node: load.rows[random.next(in: 0...load.rows.count - 1)].node)
            })
    }
}
