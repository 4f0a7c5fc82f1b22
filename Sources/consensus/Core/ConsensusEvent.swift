public import Contracts

/// One event with the moment, in milliseconds of this device's monotonic clock, at which it reached this process.
public struct ConsensusEvent: Sendable {
    public enum Kind: Sendable {
        /// From planner.
        case head(SiteHead)
        /// From gossip, which has checked its signature and sequence; this node's own included.
        case message(SignedMessage)
        case timer(ConsensusTimer)
        /// From planner.
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

public enum ConsensusTimer: Hashable, Sendable {
    case election(ElectionTimer)
    /// Time to tell the others by which engine this node elects.
    case introduction
}

/// What the shell must do, in the order given. ``persist(_:)`` is durable before the next effect starts.
public enum ConsensusEffect: Hashable, Sendable {
    /// Replace the stored state of the election.
    case persist([UInt8])
    /// Have gossip sign and send. It may fail and is then not tried again: the election's own timers retry.
    case publish(Publication)
    /// (Re)arm a timer; it comes back as ``ConsensusEvent/Kind/timer(_:)``.
    case setTimer(ConsensusTimer, afterMilliseconds: Int64)
    case cancelTimer(ConsensusTimer)
    /// Comes back as ``ConsensusEvent/Kind/answer(_:_:)``.
    case ask(ElectionQuestion)
    /// Tell whoever follows `GET /leadership`.
    case leadership(Leadership)
    case count(ElectionCount)
    case log(ElectionLogLevel, String)
}
