public import Contracts

/// One event with the moment at which it reached the planner.
public struct PlannerEvent: Sendable {
    public enum Kind: Sendable {
        /// The first event: what storage held is already in the machine's initial state.
        case started
        /// A message of this site whose signature gossip has checked, this node's own included.
        case message(SignedMessage)
        case leadership(Leadership)
        /// Gossip's answer to ``PlannerEffect/sign(_:_:)``.
        case signed(SigningTag, Signature)
        case signingRefused(SigningTag, reason: String)
        /// Gossip's answer to ``PlannerEffect/draw(height:_:)``.
        case drawn(height: UInt64, VRFProof)
        case timer(PlannerTimer)
        /// The operator's.
        case order(RequestID, SignedOrder)
        /// This node is to leave the site.
        case leave(RequestID)
        /// The operator's: the chain goes on with those who are left.
        case recover(RequestID, Recovery, force: Bool)
        case receipt(RequestID, Receipt)
    }

    /// Milliseconds of this device's monotonic clock.
    public var now: Int64
    /// Milliseconds since 1970 by this device's wall clock; goes into block timestamps only.
    public var wallTime: Int64
    public var kind: Kind

    public init(now: Int64, wallTime: Int64, _ kind: Kind) {
        self.now = now
        self.wallTime = wallTime
        self.kind = kind
    }
}

/// Names a request of a local client until it is answered.
public struct RequestID: Hashable, Sendable {
    public var number: UInt64
    public init(_ number: UInt64) { self.number = number }
}

/// An app and the name of the node that should get its first placement: what an operator's order is made of.
public struct Submission: Codable, Hashable, Sendable {
    public var specification: AppSpecification
    public var on: String?

    public init(specification: AppSpecification, on: String? = nil) {
        self.specification = specification
        self.on = on
    }
}

/// What a signature was asked for.
public enum SigningTag: Hashable, Sendable {
    case genesis
    /// So many of them.
    case recoveries(Int)
    case header(height: UInt64, round: UInt32)
    case proposal(height: UInt64, round: UInt32)
    case vote(height: UInt64, round: UInt32, step: VoteStep)
}

/// The timers of Algorithm 1 and the planner's own.
public enum PlannerTimer: Hashable, Sendable {
    case propose(height: UInt64, round: UInt32)
    case prevote(height: UInt64, round: UInt32)
    case precommit(height: UInt64, round: UInt32)
    /// The block interval after a commit is over.
    case nextHeight(UInt64)
    /// Time to say again where this node stands.
    case resend
}
