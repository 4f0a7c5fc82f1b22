public import Contracts

/// A way to elect: a value that turns events into effects, as every core does.
///
/// An engine is a folder beside this file and one line in ``Elections`` (docs/elections.md shows how). It may assume
/// that a head comes before anything else, and that messages come from members of the newest head only. It must not
/// assume that a message arrives, arrives once, or arrives in order.
///
/// What an engine owes its site it states itself in ``guarantee``, and is held to. It owes the chain nothing: a wrong
/// election delays blocks and can do no worse.
public protocol Election: Sendable {
    /// As it stands in settings, in messages and in ``Contracts/Leadership/engine``.
    static var name: String { get }

    /// What holds whatever goes wrong, and how soon there is a leader when nothing does.
    static var guarantee: ElectionGuarantee { get }

    /// - Parameter stored: the bytes of the last ``ElectionEffect/persist(_:)``; nil if there never was one.
    /// - Throws: ``Contracts/ByteCodingError`` if `stored` isn't what this engine persists.
    init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws

    /// Who leads, as far as this node acknowledges it, with what convinced it.
    var leadership: Leadership { get }

    /// What the engine is about, in half a sentence for people: "asking for votes in term 7: 1 of the 2 needed".
    var progress: String { get }

    mutating func step(_ event: ElectionEvent) -> [ElectionEffect]

    /// Why `leadership` is not shown by its certificate, in a sentence; nil if it is. Needs no trust in whoever sent it,
    /// and no state of an engine: what a proof needs of time, the engine adds by its own clock.
    static func flaw(of leadership: Leadership, at head: SiteHead, _ checks: ElectionChecks) -> String?

    /// What a message of this engine says, for people.
    static func text(of body: [UInt8]) -> String
}

/// What an engine owes its site, for the suite that all engines are held to.
public struct ElectionGuarantee: Sendable {
    /// What a leadership's certificate consists of.
    public enum Proof: Sendable {
        /// Signatures of a quorum: whoever shows it was voted for.
        case votes
        /// A draw that only the leader's key could make, and no waiting time that is not over by the reader's own clock.
        case draw
        /// Nothing: everybody computes the leader from the chain.
        case computed
        /// Nothing: everybody looks the leader up.
        case lookedUp
    }

    public var proof: Proof
    /// No two nodes are ever acknowledged as leaders of one term, by anybody.
    public var oneLeaderATerm: Bool
    /// No two nodes ever take themselves for leader at one moment, while all clocks run within a tenth of true.
    public var oneLeaderAtATime: Bool
    /// Timeouts after which a quorum that is connected acknowledges a new leader, at most, after the old one died.
    public var timeoutsToRecover: Int64

    public init(proof: Proof, oneLeaderATerm: Bool, oneLeaderAtATime: Bool, timeoutsToRecover: Int64) {
        self.proof = proof
        self.oneLeaderATerm = oneLeaderATerm
        self.oneLeaderAtATime = oneLeaderAtATime
        self.timeoutsToRecover = timeoutsToRecover
    }
}

/// How signatures and draws are checked. A simulation puts cheaper ones in the place of the real ones.
public struct ElectionChecks: Sendable {
    /// Whether the signature is this node's of these bytes.
    public var signs: @Sendable (NodeID, Signature, [UInt8]) -> Bool
    /// The draw that the proof shows, or nil if it isn't this key's for `alpha`.
    public var draws: @Sendable (VRFKey, VRFProof, _ alpha: [UInt8]) -> VRFOutput?

    public init(
        signs: @escaping @Sendable (NodeID, Signature, [UInt8]) -> Bool,
        draws: @escaping @Sendable (VRFKey, VRFProof, [UInt8]) -> VRFOutput?
    ) {
        self.signs = signs
        self.draws = draws
    }
}

/// What an engine is given at its start.
public struct ElectionConfiguration: Sendable {
    /// The node that this engine speaks for.
    public var own: NodeID
    /// Every choice at random is drawn from this.
    public var seed: UInt64
    /// Milliseconds from one sign of life of a leader to the next, 10 to 60,000.
    public var heartbeat: Int64
    /// Milliseconds of silence after which a leader is given up, at the least; half as many again at the most.
    /// 2 × ``heartbeat`` to 600,000.
    public var timeout: Int64
    public var checks: ElectionChecks

    public init(own: NodeID, seed: UInt64, heartbeat: Int64, timeout: Int64, checks: ElectionChecks = .real) {
        self.own = own
        self.seed = seed
        self.heartbeat = heartbeat
        self.timeout = timeout
        self.checks = checks
    }
}

/// One event with the moment, in milliseconds of this device's monotonic clock, at which it reached this process.
public struct ElectionEvent: Sendable {
    public enum Kind: Sendable {
        /// Where the chain stands. The first event; again whenever it changes.
        case head(SiteHead)
        case message(ElectionMessage)
        case timer(ElectionTimer)
        /// A leader failed in the eyes of this node's planner.
        case blame(Blame)
        /// What a question came to; nil if no answer was to be had.
        case answer(ElectionQuestion, ElectionAnswer?)
    }

    public var now: Int64
    public var kind: Kind

    public init(now: Int64, _ kind: Kind) {
        self.now = now
        self.kind = kind
    }
}

/// What a member's engine gave to ``ElectionEffect/send(to:_:)``, with what shows that it did. What this node sends to
/// all comes back to itself: its own signature counts in a certificate like any other.
public struct ElectionMessage: Hashable, Sendable {
    public var sender: NodeID
    public var sequence: UInt64
    public var signature: Signature
    public var body: [UInt8]

    public init(sender: NodeID, sequence: UInt64, signature: Signature, body: [UInt8]) {
        self.sender = sender
        self.sequence = sequence
        self.signature = signature
        self.body = body
    }
}

/// A timer of an engine. A timer set again replaces the one before; one that was replaced may still come, late.
public struct ElectionTimer: Hashable, Sendable {
    public var name: String
    public init(_ name: String) { self.name = name }
}

/// What an engine can't answer by itself. One that gets no answer is asked again by the engine's own timers.
public enum ElectionQuestion: Hashable, Sendable {
    /// This node's draw for `alpha`: gossip holds the key.
    case draw(alpha: [UInt8])
    /// Something of the site's etcd.
    case store(StoreCall)
}

public enum ElectionAnswer: Hashable, Sendable {
    case drawn(VRFProof)
    case store(StoreReply)
}

/// What must be done, in the order given. Whatever persists is durable before the next effect starts: an engine
/// relies on it never to vote twice in a term.
public enum ElectionEffect: Hashable, Sendable {
    case persist([UInt8])
    /// To one member, or with nil to all of them.
    case send(to: NodeID?, [UInt8])
    case setTimer(ElectionTimer, afterMilliseconds: Int64)
    case cancelTimer(ElectionTimer)
    /// Comes back as ``ElectionEvent/Kind/answer(_:_:)``.
    case ask(ElectionQuestion)
    case leadershipChanged(Leadership)
    case count(ElectionCount)
    case log(ElectionLogLevel, String)
}

public enum ElectionLogLevel: String, Hashable, Sendable { case debug, info, notice, warning }

/// What is counted, for the metrics.
public enum ElectionCount: Hashable, Sendable {
    case sent(type: String)
    case received(type: String)
    /// A message that changed nothing because something was wrong with it.
    case refused(reason: String)
    /// This node stood for election.
    case stood
    /// This node stopped acknowledging a leader that its planner blamed.
    case disowned
}
