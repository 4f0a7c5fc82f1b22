import Contracts

/// Algorithm 1 of "A Blockchain-based Decentralized Self-balancing Architecture for the Web of Things" (Tošić, Vičič,
/// Mrissa, 2019). A node's score is the processor alone.
///
/// While apps are queued, each goes in order to the least loaded node. With an empty queue the largest app of the most
/// loaded node goes to the least loaded one if that brings the two closer together. Three repairs:
///
/// - The printed condition moves a single app back and forth for ever. Here the two nodes' difference must shrink,
///   |Current| > |Future|, which is to say 0 < size < Max - Min where both nodes have the same capacity.
/// - Equals are told apart by the lowest key or name.
/// - The difference must shrink by more than ``margin``. Of a difference that measurement can't tell from noise
///   the printed algorithm makes moves too, and undoes them with the next report.
public struct PaperStrategy: Strategy {
    public static let name = "paper"
    /// How much closer two nodes must come for a move, in ppm of a node.
    public static let defaultMargin: Int64 = 50_000
    /// Milliseconds of block time after which an app that was never measured no longer holds up moves.
    public static let patience: Int64 = 30_000

    public let margin: Int64

    public init(margin: Int64 = PaperStrategy.defaultMargin) { self.margin = margin }

    public func plan(for state: SiteState) -> Plan {
        var load = EffectiveLoad(state)
        guard state.queue.isEmpty else { return Plan(assignments: assignments(state, &load)) }
        guard state.isSettled(after: Self.patience), let move = move(state, load) else { return Plan() }
        return Plan(moves: [move])
    }

    private func assignments(_ state: SiteState, _ load: inout EffectiveLoad) -> [Assignment] {
        var assignments: [Assignment] = []
        for name in state.queue.prefix(Plan.limit) {
            guard let app = state.apps[name], let node = node(for: app, state, load) else { continue }
            load.add(EffectiveLoad.demand(of: app, state.parameters), to: node)
            assignments.append(Assignment(app: name, node: node))
        }
        return assignments
    }

    /// The wished node if it can take the app, else the least loaded one, best one that hasn't failed it yet.
    private func node(for app: AppRecord, _ state: SiteState, _ load: EffectiveLoad) -> NodeID? {
        if let wish = app.on, load[wish] != nil, !app.excludes(wish, at: state.time) { return wish }
        let untried = load.least { !app.failedOn.contains($0) && !app.excludes($0, at: state.time) }
        return (untried ?? load.least { !app.excludes($0, at: state.time) })?.node
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
        return current - future > margin ? Move(app: app, from: max.node, to: min.node) : nil
    }

    /// Whether the app runs at `from` and can be restored at `to`, as far as reports and receipts say.
    private func canMove(_ app: AppRecord, from: NodeID, to: NodeID, _ state: SiteState) -> Bool {
        guard app.phase == .running, app.node == from, app.specification.move == .live,
            !app.excludes(to, at: state.time),
            let source = state.nodes[from]?.report?.load.facts, let target = state.nodes[to]?.report?.load.facts
        else { return false }
        return source.architecture == target.architecture && source.pageSize == target.pageSize
    }
}
