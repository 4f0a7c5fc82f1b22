public import Contracts

/// A way to elect: a value that turns events into effects, as every core does.
///
/// An engine is a folder beside this file and one line in ``Elections``. It may assume that a head comes before
/// any message, timer or blame, and that messages come from members of the newest head only. It must not assume
/// that a message arrives, arrives once, or arrives in order.
///
/// What an engine owes its site is at most one leader in a term, and a leader whenever a quorum of members can
/// talk. It owes the chain nothing: a wrong election delays blocks and can do no worse.
public protocol Election: Sendable {
    /// As it stands in settings, in messages and in ``Contracts/Leadership/engine``.
    static var name: String { get }

    /// - Parameter stored: the bytes of the last ``ElectionEffect/persist(_:)``; nil if there never was one.
    /// - Throws: ``Contracts/ByteCodingError`` if `stored` isn't what this engine persists.
    init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws

    /// Who leads, as far as this node acknowledges it.
    var leadership: Leadership { get }

    /// What the engine is about, in half a sentence for people: "asking for votes in term 7: 1 of the 2 needed".
    var progress: String { get }

    mutating func step(_ event: ElectionEvent) -> [ElectionEffect]
}

/// What an engine is given at its start.
public struct ElectionConfiguration: Sendable {
    /// The node that this engine speaks for.
    public var own: NodeID
    /// Every choice at random is drawn from this.
    public var seed: UInt64
    /// Milliseconds from one sign of life of a leader to the next, 10 to 60,000.
    public var heartbeat: Int64
    /// Milliseconds of silence after which a leader is given up, at the least; twice as many at the most.
    /// 2 × ``heartbeat`` to 600,000.
    public var timeout: Int64

    public init(own: NodeID, seed: UInt64, heartbeat: Int64, timeout: Int64) {
        self.own = own
        self.seed = seed
        self.heartbeat = heartbeat
        self.timeout = timeout
    }
}

/// One event with the moment, in milliseconds of this device's monotonic clock, at which it reached this process.
public struct ElectionEvent: Sendable {
    public enum Kind: Sendable {
        /// Where the chain stands. The first event; again whenever it changes.
        case head(SiteHead)
        /// A member's message, as that member's engine gave it to ``ElectionEffect/send(to:_:)``.
        case message(from: NodeID, [UInt8])
        case timer(ElectionTimer)
        /// A leader failed in the eyes of this node's planner.
        case blame(Blame)
    }

    public var now: Int64
    public var kind: Kind

    public init(now: Int64, _ kind: Kind) {
        self.now = now
        self.kind = kind
    }
}

/// A timer of an engine. A timer set again replaces the one before; one that was replaced may still come, late.
public struct ElectionTimer: Hashable, Sendable {
    public var name: String
    public init(_ name: String) { self.name = name }
}

/// What must be done, in the order given. Whatever persists is durable before the next effect starts: an engine
/// relies on it never to vote twice in a term.
public enum ElectionEffect: Hashable, Sendable {
    case persist([UInt8])
    /// To one member, or with nil to all of them.
    case send(to: NodeID?, [UInt8])
    case setTimer(ElectionTimer, afterMilliseconds: Int64)
    case cancelTimer(ElectionTimer)
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
