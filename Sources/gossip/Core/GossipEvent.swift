public import Contracts

/// One event with the moment at which it reached gossip.
public struct GossipEvent: Sendable {
    public enum Kind: Sendable {
        /// The first event; what storage held is in the machine's initial state.
        case started
        case timer(GossipTimer)
        /// How other devices reach this one, as `host:port`. Until this is known no report is sent.
        case advertise(gossip: String, migrator: String)
        /// A sample of monitor's.
        case load(LoadMatrix)
        /// A local service wants a message signed and sent.
        case publish(RequestNumber, Publication)
        case sign(RequestNumber, SigningRequest)
        case draw(RequestNumber, DrawRequest)
        /// Another node handed over messages.
        case received(RequestNumber, Batch)
        /// Another node asks which of these messages are needed here.
        case asked(RequestNumber, Question)
        /// A request to the node API of the paper's section 6.1 that changes an entry.
        case shared(RequestNumber, SharedRequest)
        /// A batch was taken by its peer.
        case sent(Ticket)
        /// A question was answered, one truth value for each signature. Round trips are in microseconds.
        case answered(Ticket, needed: [Bool], roundTrip: Int64)
        /// A batch or question did not get through and may be tried again.
        case failed(Ticket, reason: String)
        /// A batch or question was refused: to try it again would be of no use.
        case refused(Ticket, reason: String)
        case identified(address: String, NodeInfo, roundTrip: Int64)
        case unidentified(address: String, reason: String)
        case peersLearned(from: NodeID, [PeerHint], roundTrip: Int64)
        case peersNotLearned(from: NodeID, reason: String)
        /// A node that called here says that it can be reached at `address`. Believed only once asked there.
        case hinted(address: String)
    }

    /// Milliseconds of this device's monotonic clock.
    public var now: Int64
    public var kind: Kind

    public init(now: Int64, _ kind: Kind) {
        self.now = now
        self.kind = kind
    }
}

/// Names a request until it is answered.
public struct RequestNumber: Hashable, Sendable {
    public var number: UInt64
    public init(_ number: UInt64) { self.number = number }
}

/// Names what is under way to a peer.
public struct Ticket: Hashable, Sendable {
    public var peer: NodeID
    public var number: UInt64

    public init(peer: NodeID, number: UInt64) {
        self.peer = peer
        self.number = number
    }
}

public enum GossipTimer: Hashable, Sendable {
    /// ΔST has passed (paper, section 5): report.
    case report
    /// Look after addresses and peers.
    case discovery
    /// A peer that failed is worth another try.
    case retry(NodeID)
}

/// A change to one node's entry, asked for through the node API.
public struct SharedRequest: Sendable {
    public enum Verb: Sendable {
        /// PUT: a known node replaces its state.
        case replace
        /// POST: a device introduces itself.
        case introduce(address: String?)
        /// DELETE: a node leaves.
        case leave
    }

    public var verb: Verb
    /// Whose entry it is: only a message signed by this key changes it.
    public var node: NodeID
    public var message: SignedMessage

    public init(_ verb: Verb, node: NodeID, message: SignedMessage) {
        self.verb = verb
        self.node = node
        self.message = message
    }
}
