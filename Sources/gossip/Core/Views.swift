// What gossip shows of itself and of others: JSON of its GET routes.

public import Contracts

/// Who a node is: `GET /node`, on the local socket and on TCP.
public struct NodeInfo: Codable, Hashable, Sendable {
    public var id: NodeID
    /// By which this node's draws are checked.
    public var vrf: VRFKey
    public var name: String
    public var site: String
    public var gossipAddress: String
    public var migratorAddress: String
    public var version: String

    public init(
        id: NodeID, vrf: VRFKey, name: String, site: String, gossipAddress: String, migratorAddress: String,
        version: String
    ) {
        self.id = id
        self.vrf = vrf
        self.name = name
        self.site = site
        self.gossipAddress = gossipAddress
        self.migratorAddress = migratorAddress
        self.version = version
    }
}

/// A peer as a node names it to others: what ``PeerState`` says that matters to them.
public struct PeerHint: Codable, Hashable, Sendable {
    public var id: NodeID
    public var address: String

    public init(id: NodeID, address: String) {
        self.id = id
        self.address = address
    }
}

/// One element of `GET /peers`.
public struct PeerState: Codable, Hashable, Sendable {
    public var id: NodeID
    public var name: String
    /// `host:port` at which it answers.
    public var address: String
    public var connected: Bool
    /// Running mean of the round trips; nil before the first.
    public var latencyMicroseconds: Int64?
    /// How long ago its newest report came; nil if there is none.
    public var reportAgeMilliseconds: Int64?
}

/// One element of `GET /scores`: a node's newest report.
public struct NodeScores: Codable, Hashable, Sendable {
    public var id: NodeID
    public var sequence: UInt64
    public var ageMilliseconds: Int64
    public var report: Report
}

/// One element of `GET /shared`: a node's newest report with the proof that it is the node's own.
public struct NodeState: Codable, Hashable, Sendable {
    public var id: NodeID
    public var ageMilliseconds: Int64
    public var report: Report
    public var message: SignedMessage
}
