public import Contracts

/// How the site decides where apps run. A strategy is a pure function of the chain's state: every node computes it
/// again before it votes.
public protocol Strategy: Sendable {
    /// As the genesis names it.
    static var name: String { get }

    /// The plan of the block after `state`.
    func plan(for state: SiteState, _ terms: PlanningTerms) -> Plan
}

extension Strategy {
    /// The plan of the chain's next block.
    public func plan(for state: SiteState) -> Plan { plan(for: state, PlanningTerms()) }
}

/// What a plan is made by, beside the state.
public struct PlanningTerms: Sendable {
    /// What is taken for a node's load.
    public enum Basis: Sendable {
        /// Its report's remainder and every app that the chain assigns there (``EffectiveLoad``).
        case effective
        /// Its newest report alone, as section 5.1 of the paper reads literally. Only for comparison: apps that the report
        /// doesn't show yet count nowhere.
        case reports
    }

    public var basis: Basis
    /// Assignments, and moves, at most.
    public var limit: Int

    public init(basis: Basis = .effective, limit: Int = Plan.limit) {
        self.basis = basis
        self.limit = limit
    }
}

/// The strategies there are.
public enum Strategies {
    /// Those that a genesis can name, the default first.
    public static let names = [BalanceStrategy.name, PaperStrategy.name]
    /// Those that a simulation can compare besides: they place and never move.
    public static let comparisons = [SpreadStrategy.name, LeastAllocatedStrategy.name, RandomStrategy.name]

    /// The strategy of a site, or nil if there is none that its genesis names.
    public static func of(_ parameters: SiteParameters) -> (any Strategy)? {
        switch parameters.strategy {
        case BalanceStrategy.name: BalanceStrategy(parameters)
        case PaperStrategy.name: PaperStrategy()
        default: nil
        }
    }
}
