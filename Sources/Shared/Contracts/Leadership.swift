// consensus → planner: who leads. planner → consensus: among whom, and who failed.

/// The answer to the one question consensus answers. One line of its `GET /leadership`.
public struct Leadership: Codable, Hashable, Sendable {
    /// Which engine says so: `raft`.
    public var engine: String
    public var term: UInt64
    /// nil while nobody leads.
    public var leader: NodeID?

    public init(engine: String, term: UInt64, leader: NodeID?) {
        self.engine = engine
        self.term = term
        self.leader = leader
    }
}

/// Where the chain stands, as far as an election must know: the body of `PUT /head`, sent again at each reconnect.
public struct SiteHead: Codable, Hashable, Sendable {
    public var genesis: Digest
    /// The last committed height.
    public var height: UInt64
    /// Who may vote and lead, in ascending order.
    public var members: [NodeID]

    public init(genesis: Digest, height: UInt64, members: [NodeID]) {
        self.genesis = genesis
        self.height = height
        self.members = members
    }
}

/// That a leader let a round 0 fail: the body of `POST /blame`. To say it again for the same height changes nothing.
public struct Blame: Codable, Hashable, Sendable {
    public var leader: NodeID
    public var term: UInt64
    public var height: UInt64

    public init(leader: NodeID, term: UInt64, height: UInt64) {
        self.leader = leader
        self.term = term
        self.height = height
    }
}
