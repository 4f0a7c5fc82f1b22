/// How the site decides where apps run. A strategy is a pure function of the chain's state: every node computes it
/// again before it votes.
public protocol Strategy: Sendable {
    /// As the genesis names it.
    static var name: String { get }

    /// The plan of the block after `state`.
    func plan(for state: SiteState) -> Plan
}

/// The strategies that a genesis can name.
public enum Strategies {
    public static let names = [PaperStrategy.name]

    /// The strategy of this name, or nil if there is none.
    public static func named(_ name: String) -> (any Strategy)? { name == PaperStrategy.name ? PaperStrategy() : nil }
}
