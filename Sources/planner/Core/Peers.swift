import Contracts

/// What other members said of their chains.
struct Peers: Sendable {
    struct Peer: Sendable {
        var height: UInt64
        var head: Digest
        var round: UInt32
        /// Monotonic milliseconds.
        var at: Int64
    }

    /// Milliseconds for which a word counts as news.
    static let freshness: Int64 = 5_000

    /// Nodes served at one time that are no members.
    private static let strangerLimit = 16
    /// Times that each is served in a second.
    private static let strangerPace = 8

    private struct Stranger: Sendable {
        /// When it was last heard, monotonic milliseconds.
        var at: Int64
        /// When the second began in which it was served so often.
        var since: Int64
        var served = 0

        init(since: Int64) { (at, self.since) = (since, since) }
    }

    private(set) var all: [NodeID: Peer] = [:]
    private var strangers: [NodeID: Stranger] = [:]
    private var answered: [NodeID: Int64] = [:]
    private var served: [NodeID: (from: UInt64, at: Int64)] = [:]
    private var told = Pace(interval: 900)
    private var heardOf = Pace(interval: 500)
    private var pieces: [NodeID: (digest: Digest, piece: UInt32, at: Int64)] = [:]

    mutating func heard(_ node: NodeID, _ status: ChainStatus, at now: Int64) {
        all[node] = Peer(height: status.height, head: status.head, round: status.round, at: now)
    }

    func fresh(at now: Int64) -> [NodeID: Peer] { all.filter { now - $0.value.at <= Self.freshness } }

    /// Whether to answer a founding message of `node`: once a second, and not while it speaks of its chain.
    mutating func mayAnswer(_ node: NodeID, at now: Int64) -> Bool {
        if let peer = all[node], now - peer.at <= Self.freshness { return false }
        if let last = answered[node], now - last < 900 { return false }
        guard answered[node] != nil || answered.count < Genesis.memberLimit else { return false }
        answered[node] = now
        return true
    }

    /// Whether to tell `node` of the chain's recoveries: once a second.
    mutating func mayTell(_ node: NodeID, at now: Int64) -> Bool { told.admits(node, at: now) }

    /// Whether to read what `node` tells of them: twice a second, for each costs some signatures.
    mutating func mayTellHere(_ node: NodeID, at now: Int64) -> Bool { heardOf.admits(node, at: now) }

    /// Whether to send `node` the blocks from this height on: once, and again after a second should they be lost.
    mutating func mayServe(_ node: NodeID, from height: UInt64, at now: Int64) -> Bool {
        if let last = served[node], height <= last.from, now - last.at < 900 { return false }
        served[node] = (height, now)
        return true
    }

    /// Whether to have to do with a node that is no member: few at a time.
    mutating func admits(stranger node: NodeID, at now: Int64) -> Bool {
        strangers = strangers.filter { now - $0.value.at <= 60_000 }
        guard strangers[node] != nil || strangers.count < Self.strangerLimit else { return false }
        strangers[node, default: Stranger(since: now)].at = now
        return true
    }

    /// Whether to send a node that is no member the blocks from this height on: as a member, but so many times a second at most.
    mutating func mayServe(stranger node: NodeID, from height: UInt64, at now: Int64) -> Bool {
        guard admits(stranger: node, at: now), var stranger = strangers[node] else { return false }
        if now - stranger.since >= 1_000 { (stranger.since, stranger.served) = (now, 0) }
        guard stranger.served < Self.strangerPace, mayServe(node, from: height, at: now) else { return false }
        stranger.served += 1
        strangers[node] = stranger
        return true
    }

    /// Whether the node, which is no member, was served lately.
    func serves(stranger node: NodeID, at now: Int64) -> Bool {
        strangers[node].map { now - $0.at <= 60_000 } ?? false
    }

    /// Whether to send `node` this piece of a snapshot: the next one at once, the same again after a second.
    mutating func mayServe(_ node: NodeID, piece: UInt32, of digest: Digest, at now: Int64) -> Bool {
        if let last = pieces[node], last.piece == piece, last.digest == digest, now - last.at < 800 { return false }
        pieces[node] = (digest, piece, now)
        return true
    }

    /// Those who say that they have blocks after `height`, in ascending order.
    func ahead(of height: UInt64, at now: Int64) -> [NodeID] {
        fresh(at: now).filter { $0.value.height > height }.keys.sorted()
    }
}

/// Admits each node once in an interval, and no more nodes in one than a site may have.
private struct Pace: Sendable {
    /// Milliseconds.
    let interval: Int64
    private var last: [NodeID: Int64] = [:]

    init(interval: Int64) { self.interval = interval }

    mutating func admits(_ node: NodeID, at now: Int64) -> Bool {
        if let last = last[node], now - last < interval { return false }
        if last.count >= Genesis.memberLimit { last = last.filter { now - $0.value < interval } }
        guard last.count < Genesis.memberLimit else { return false }
        last[node] = now
        return true
    }
}
