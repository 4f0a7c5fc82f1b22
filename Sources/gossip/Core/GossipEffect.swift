public import Contracts

/// What the shell must do, in the order given. Whatever persists is durable before the next effect starts: no
/// sequence is used and no vote leaves before storage knows of it.
public enum GossipEffect: Sendable {
    /// Replace the stored bounds of sequences.
    case persistSequences([UInt8])
    /// Replace the stored record of what was signed for the chain.
    case persistLedger([UInt8])
    /// Hand a batch to a peer; it ends as `.sent`, `.failed` or `.refused`.
    case send(Ticket, Batch, to: String)
    /// Ask a peer what it needs; it ends as `.answered`, `.failed` or `.refused`.
    case ask(Ticket, Question, to: String)
    /// Find out who is at an address: `.identified` or `.unidentified`.
    case identify(address: String)
    /// Ask a peer whom it knows: `.peersLearned` or `.peersNotLearned`.
    case askPeers(NodeID, address: String)
    /// Hand a line to the readers of the local feed.
    case deliver(FeedMessage)
    case answer(RequestNumber, GossipAnswer)
    /// (Re)arm a timer; it comes back as `.timer`.
    case setTimer(GossipTimer, afterMilliseconds: Int64)
    case count(GossipCounter, Int)
    /// How many peers are connected now.
    case connected(Int)
    /// How many nodes have a report in the pool now.
    case pooled(Int)
    case log(Level, String)

    public enum Level: Sendable { case debug, info, notice, warning, error }
}

/// What a request comes to.
public enum GossipAnswer: Sendable {
    case published(SignedMessage)
    case signed(SigningResponse)
    case drawn(DrawResponse)
    /// How many messages of a batch were new and in order, and how many were dropped.
    case received(accepted: Int, dropped: Int)
    /// For each signature asked about, whether its message is needed here.
    case needed([Bool])
    /// The node API did as asked; `created` says whether the node was unknown before.
    case shared(created: Bool)
    case problem(Problem)
}

public enum GossipCounter: Hashable, Sendable {
    /// A message taken from another node.
    case received(MessageKind)
    /// A message handed to a peer.
    case sent(MessageKind)
    /// A message of this node's own.
    case published(MessageKind)
    case dropped(DropReason)
    /// Signatures that peers were asked about.
    case asked
    /// Those that they needed.
    case needed
    /// A signature given or refused for the chain.
    case signed(SigningRequest.Purpose)
    case signingRefused(SigningRequest.Purpose)
    /// A draw made or refused for the chain.
    case drawn
    case drawRefused
}

/// Why a message went no further. The raw value is the metric's label.
public enum DropReason: String, Sendable, CaseIterable {
    case malformed
    case unknownKind = "unknown-kind"
    case oversized
    /// Of another site.
    case foreignSite = "foreign-site"
    /// Seen before: what a flood brings, nobody's fault.
    case duplicate
    /// Its sender is this node.
    case own
    case illSigned = "ill-signed"
    case tooManySenders = "too-many-senders"
    /// Signed well, but its payload is no report.
    case malformedReport = "malformed-report"
    /// Its sequence was used before.
    case replayed
    /// Its sequence is too far behind.
    case stale
    /// A newer report of the same node is here.
    case superseded
    /// A report of a node that has just left.
    case left
    /// A peer took messages more slowly than they came.
    case queueFull = "queue-full"
    /// Meant for one node that isn't connected.
    case notConnected = "not-connected"
    case refusedByPeer = "refused-by-peer"
    /// A sample of monitor's that no report can carry.
    case badLoad = "bad-load"
}
