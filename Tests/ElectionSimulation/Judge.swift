import ConsensusCore
import Contracts

/// Sees every leadership that any node acknowledges, and says what must not be.
struct Judge {
    let engine: any Election.Type
    let checks: ElectionChecks
    private(set) var violation: String?
    /// Who won which term, in anybody's eyes.
    private var winners: [UInt64: NodeID] = [:]
    /// Nodes that take themselves for leader.
    private var reigning: [NodeID: UInt64] = [:]

    init(engine: any Election.Type, checks: ElectionChecks) {
        self.engine = engine
        self.checks = checks
    }

    mutating func accuse(_ what: String) { violation = violation ?? what }

    /// - Parameter asleep: nodes that get no processor time, so that nobody hears what they think.
    mutating func see(_ leadership: Leadership, of node: NodeID, at head: SiteHead, asleep: Set<NodeID>) {
        reigning[node] = nil
        guard let leader = leadership.leader else { return }
        let guarantee = engine.guarantee
        if guarantee.oneLeaderATerm, let winner = winners[leadership.term], winner != leader {
            accuse("term \(leadership.term) was won by both \(winner.short) and \(leader.short)")
        }
        winners[leadership.term] = leader
        if let flaw = engine.flaw(of: leadership, at: head, checks) {
            accuse("\(node.short) acknowledges \(leader.short) in term \(leadership.term), but \(flaw)")
        }
        if leader == node {
            reigning[node] = leadership.term
            look(asleep: asleep)
        }
    }

    /// At any moment, not only when somebody has just become leader: another may have just woken up.
    mutating func look(asleep: Set<NodeID>) {
        guard engine.guarantee.oneLeaderAtATime, reigning.count > 1 else { return }
        let awake = reigning.keys.filter { !asleep.contains($0) }.sorted()
        if awake.count > 1 {
            accuse("\(awake[0].short) and \(awake[1].short) take themselves for leader at one moment")
        }
    }

    mutating func crashed(_ node: NodeID) { reigning[node] = nil }
}
