public import Contracts

/// What every present node carries or is about to, in thousandths of a core.
///
/// Reports alone lag behind the chain: each new app would be sent to the node that was least loaded before the last
/// one arrived. So a node's load is what its report shows beside the chain's apps, plus every app that the chain
/// assigns there, each at its newest score or, before its first, at the demand that the genesis declares. An app on its
/// way counts at both ends.
public struct EffectiveLoad: Sendable {
    /// No device has more: keeps every product within 64 bits.
    static let millicoreLimit: Int64 = 100_000_000

    public struct Row: Hashable, Sendable {
        public let node: NodeID
        /// Thousandths of a core in total, at least 1.
        public let capacity: Int64
        /// Thousandths of a core in use.
        public var load: Int64

        /// The node's score: parts per million of its capacity.
        public var score: Int64 { EffectiveLoad.score(load, of: capacity) }
    }

    /// Present nodes in ascending order of key.
    public private(set) var rows: [Row]
    private let index: [NodeID: Int]

    public init(_ state: SiteState, _ basis: PlanningTerms.Basis = .effective) {
        var rows: [Row] = []
        for member in state.members {
            guard let record = state.nodes[member.id], record.isPresent, let load = record.report?.load else {
                continue
            }
            let capacity = min(Self.millicoreLimit, max(1, Int64(load.capacity.cpuMillicores)))
            func millicores(_ score: Score) -> Int64 { Self.millicores(score.cpu ?? 0, of: capacity) }
            let shown = basis == .reports ? [] : load.apps
            let managed = shown.filter { state.apps[$0.app] != nil }.reduce(0) { $0 + millicores($1.score) }
            rows.append(Row(node: member.id, capacity: capacity, load: max(0, millicores(load.device) - managed)))
        }
        let index = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1.node, $0) })
        for app in state.apps.values where app.phase.isPlaced && basis == .effective {
            let demand = Self.demand(of: app, state.parameters)
            for node in [app.node, app.move?.to] {
                if let node, let row = index[node] { rows[row].load += demand }
            }
        }
        self.rows = rows
        self.index = index
    }

    /// What an app is taken to need: its newest score, or the declared demand before the first.
    public static func demand(of app: AppRecord, _ parameters: SiteParameters) -> Int64 {
        min(millicoreLimit, app.demand?.cpu ?? parameters.declaredDemand)
    }

    /// `ppm` of a capacity, in its unit.
    static func millicores(_ ppm: Int, of capacity: Int64) -> Int64 {
        min(millicoreLimit, min(Int64(Int32.max), max(0, Int64(ppm))) * min(millicoreLimit, capacity) / 1_000_000)
    }

    static func score(_ load: Int64, of capacity: Int64) -> Int64 { load * 1_000_000 / capacity }

    public subscript(node: NodeID) -> Row? { index[node].map { rows[$0] } }

    /// Where ``rows`` has a node; nil unless it is present.
    func row(of node: NodeID) -> Int? { index[node] }

    mutating func add(_ demand: Int64, toRow row: Int) { rows[row].load += demand }

    /// The present node with the lowest score of those that `allowed` admits; of equals the one with the lowest key.
    func least(where allowed: (NodeID) -> Bool) -> Row? {
        var best: (row: Row, score: Int64)?
        for row in rows where allowed(row.node) {
            let score = row.score
            if let found = best, found.score <= score { continue }
            best = (row, score)
        }
        return best?.row
    }

    /// The present node with the highest score; of equals the one with the lowest key.
    func most() -> Row? {
        var best: (row: Row, score: Int64)?
        for row in rows {
            let score = row.score
            if let found = best, found.score >= score { continue }
            best = (row, score)
        }
        return best?.row
    }
}
