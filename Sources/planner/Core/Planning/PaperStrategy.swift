import Contracts

/// Algorithm 1 of "A Blockchain-based Decentralized Self-balancing Architecture for the Web of Things" (Tošić, Vičič,
/// Mrissa, 2019). A node's score is the processor alone.
///
/// While apps are queued, each goes in order to the least loaded node, whatever that can carry. With an empty queue the
/// largest app of the most loaded node goes to the least loaded one if that brings the two closer together. Two repairs:
///
/// - The printed condition moves a single app back and forth for ever. Here the two nodes' difference must shrink,
///   |Current| > |Future|, which is to say 0 < size < Max - Min where both nodes have the same capacity.
/// - Equals are told apart by the lowest key or name.
///
/// The paper's moves take no time and its loads are exact. Here a move is only made once every app has been measured where
/// it is; noise it follows as printed, which ``BalanceStrategy`` does not.
public struct PaperStrategy: Strategy {
    public static let name = "paper"
    /// Milliseconds of block time after which an app that was never measured no longer holds up moves.
    public static let patience: Int64 = 30_000

    public init() {}

    public func plan(for state: SiteState, _ terms: PlanningTerms) -> Plan {
        let load = EffectiveLoad(state, terms.basis)
        let queue = queue(state, load, terms.limit)
        guard queue.isEmpty else { return Plan(assignments: assignments(queue, state, load)) }
        guard state.isSettled(after: Self.patience), let move = move(state, load) else { return Plan() }
        return Plan(moves: [move])
    }

    /// Queued apps without those that no present node may run, which would hold up all moves, and in the end all apps behind
    /// them, for ever.
    private func queue(_ state: SiteState, _ load: EffectiveLoad, _ limit: Int) -> [String] {
        var queue: [String] = []
        for name in state.queue {
            if queue.count >= limit { break }
            if let app = state.apps[name], !app.mayRunAnywhere || app.home != nil,
                !load.rows.contains(where: { state.placementObstacle(to: app, on: $0.node) == nil })
            {
                continue
            }
            queue.append(name)
        }
        return queue
    }

    private func assignments(_ queue: [String], _ state: SiteState, _ load: EffectiveLoad) -> [Assignment] {
        var load = load
        var order = LoadOrder(load.rows.map(\.score))
        var assignments: [Assignment] = []
        for name in queue {
            guard let app = state.apps[name], let row = row(for: app, state, load, order) else { continue }
            load.add(EffectiveLoad.demand(of: app, state.parameters), toRow: row)
            order.update(row, load.rows[row].score)
            assignments.append(Assignment(app: name, node: load.rows[row].node))
        }
        return assignments
    }

    /// The wished node if it can take the app, else the least loaded one, best one that hasn't failed it yet.
    private func row(for app: AppRecord, _ state: SiteState, _ load: EffectiveLoad, _ order: LoadOrder) -> Int? {
        func allowed(_ row: Int) -> Bool {
            let node = load.rows[row].node
            return !app.excludes(node, at: state.time) && state.placementObstacle(to: app, on: node) == nil
        }
        if let row = app.on.flatMap({ load.row(of: $0) }), allowed(row) { return row }
        return order.ascending.first { allowed($0) && !app.failedOn.contains(load.rows[$0].node) }
            ?? order.ascending.first(where: allowed)
    }

    private func move(_ state: SiteState, _ load: EffectiveLoad) -> Move? {
        guard let max = load.most(), let min = load.least(where: { $0 != max.node }) else { return nil }
        let largest = state.apps.values.filter { canMove($0, from: max.node, to: min.node, state) }
            .map { (size: EffectiveLoad.demand(of: $0, state.parameters), name: $0.specification.name) }
            .max { a, b in a.size != b.size ? a.size < b.size : a.name > b.name }
        guard let (size, app) = largest, size > 0 else { return nil }
        let current = abs(max.score - min.score)
        let future = abs(
            EffectiveLoad.score(max.load - size, of: max.capacity)
                - EffectiveLoad.score(min.load + size, of: min.capacity))
        return current > future ? Move(app: app, from: max.node, to: min.node) : nil
    }

    /// Whether the app runs at `from` and may run and can be restored at `to`, as far as reports and receipts say.
    private func canMove(_ app: AppRecord, from: NodeID, to: NodeID, _ state: SiteState) -> Bool {
        guard app.phase == .running, app.node == from, app.specification.move == .live,
            !app.excludes(to, at: state.time), state.obstacle(to: app.specification, on: to) == nil,
            let source = state.nodes[from]?.report?.load.facts, let target = state.nodes[to]?.report?.load.facts
        else { return false }
        return Feasibility.canRestore(source, target)
    }
}
