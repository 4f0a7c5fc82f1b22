// consensus → planner: who leads. planner → consensus: among whom, and who failed.

/// The answer to the one question consensus answers. One line of its `GET /leadership`.
public struct Leadership: Codable, Hashable, Sendable {
    /// Bytes of a certificate at most: as many votes as a thousand members can need.
    public static let certificateLimit = 64 << 10

    /// Which engine says so: `raft`, `paxos`, `poet`, `rotation` or `etcd`.
    public var engine: String
    public var term: UInt64
    /// nil while nobody leads.
    public var leader: NodeID?
    /// What convinced this node, for others to check in turn. How to read it is the engine's affair; nil with an engine
    /// whose leaders anybody can compute or look up.
    public var certificate: Base64Bytes?

    public init(engine: String, term: UInt64, leader: NodeID?, certificate: [UInt8]? = nil) {
        self.engine = engine
        self.term = term
        self.leader = leader
        self.certificate = certificate.map { Base64Bytes($0) }
    }
}

/// Where the chain stands, as far as an election must know: the body of `PUT /head`, sent again at each reconnect.
public struct SiteHead: Codable, Hashable, Sendable {
    public var genesis: Digest
    /// What the messages of this site's nodes are signed for.
    public var site: Digest
    /// The last committed height.
    public var height: UInt64
    /// The height of the block that last changed who is a member; 0 while the founders are. Below 2³¹.
    public var membersSince: UInt64
    /// What the chain's builders have drawn together up to this block: nobody could choose it.
    public var seed: Digest
    /// ``seed`` as it was at the start of the running epoch.
    public var epochSeed: Digest
    /// Who may vote and lead, in ascending order of key.
    public var members: [Voter]

    public init(
        genesis: Digest, site: Digest, height: UInt64, membersSince: UInt64 = 0, seed: Digest, epochSeed: Digest,
        members: [Voter]
    ) {
        self.genesis = genesis
        self.site = site
        self.height = height
        self.membersSince = membersSince
        self.seed = seed
        self.epochSeed = epochSeed
        self.members = members
    }
}

/// A member as an election sees it.
public struct Voter: Codable, Hashable, Sendable {
    public var id: NodeID
    /// The key by which its draws are checked.
    public var vrf: VRFKey
    /// The height of the block that made it a member; 0 for the founders.
    public var since: UInt64

    public init(id: NodeID, vrf: VRFKey, since: UInt64 = 0) {
        self.id = id
        self.vrf = vrf
        self.since = since
    }
}

/// That a leader let a round 0 fail: the body of `POST /blame`. To say it again for the same height changes nothing.
public struct Blame: Codable, Hashable, Sendable {
    /// Heights for which one counts.
    public static let memory: UInt64 = 20

    public var leader: NodeID
    public var term: UInt64
    public var height: UInt64

    public init(leader: NodeID, term: UInt64, height: UInt64) {
        self.leader = leader
        self.term = term
        self.height = height
    }
}
