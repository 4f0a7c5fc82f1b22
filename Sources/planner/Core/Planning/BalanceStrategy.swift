public import Contracts

/// Keeps devices close together in all four resources with few moves.
///
/// The potential of a placement is the sum over nodes of ``Census/Node/potential(_:)``: for equal devices the sum of squared
/// loads, of each resource, so that at a given total it falls exactly when the squared standard deviations do in sum. Queued apps are placed
/// largest first, each where it adds least to the potential. Then, step by step, the best of two changes is made: one app
/// goes to another node, or two apps change places. A change must lower the potential by more than its price. Queued apps
/// change places for nothing; each app that leaves the node it runs on costs at least ``price(nodes:)``.
///
/// So the moves of a plan together lower the potential by more than the sum of their prices, and since the potential is a
/// non-negative integer and each price positive, a site whose loads and members don't change comes to rest. Nothing is placed or moved
/// to where it doesn't fit. Work is O(A + (N + moves) log N) for A apps on N nodes, as a step looks at a fixed number of nodes.
public struct BalanceStrategy: Strategy {
    public static let name = "balance"

    /// See ``SiteParameters/margin`` and ``SiteParameters/coolDown``.
    private let margin: Int64
    private let coolDown: Int64

    public init(_ parameters: SiteParameters = SiteParameters()) {
        margin = parameters.margin
        coolDown = parameters.coolDown
    }

    public func plan(for state: SiteState, _ terms: PlanningTerms) -> Plan {
        // Handed over, not kept here as well: the balancer changes it in place.
        var balancer = Balancer(Census(state, terms, coolDown: coolDown)) { price(nodes: $0) }
        balancer.place(state, limit: terms.limit)
        balancer.level(limit: terms.limit)
        return balancer.plan
    }

    /// What a move that ships no memory must gain at least, ppm² of a device. A small site has few pairs of nodes to choose
    /// from, so it takes smaller gains than a large one that would leave the same imbalance.
    public func price(nodes: Int) -> Int64 { max(1, 2 * margin * margin / Int64(nodes + 6) * Int64(nodes)) }
}
