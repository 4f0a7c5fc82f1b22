public import Contracts

/// What the shell must do, in the order given. Whatever persists is durable before the next effect starts:
/// agreement relies on it never to vote twice.
public enum PlannerEffect: Sendable {
    /// Replace the stored genesis (a core's own encoding).
    case persistGenesis([UInt8])
    /// Replace the stored state of the running height: round, step, lock, valid value, votes cast.
    case persistAgreement([UInt8])
    /// Append one committed block, in one transaction with forgetting the finished height's agreement state.
    case commit(CommittedBlock)
    /// Ask gossip; it answers with `.signed` or `.signingRefused`.
    case sign(SigningTag, SigningRequest)
    /// Ask gossip for this node's draw; it answers with `.drawn`.
    case draw(height: UInt64, DrawRequest)
    case publish(Publication)
    /// Read the committed blocks from this height on, at most ``CommittedBlocks/countLimit``, and publish to this
    /// node what ``CommittedBlocks/publication(of:to:)`` makes of them. Nothing to send is no fault.
    case sendCommitted(from: UInt64, to: NodeID)
    /// (Re)arm a timer; it comes back as `.timer`.
    case setTimer(PlannerTimer, afterMilliseconds: Int64)
    case cancelTimer(PlannerTimer)
    /// Tell consensus where the chain stands.
    case head(SiteHead)
    /// Tell consensus that the leader of this term failed at this height.
    case blame(leader: NodeID, term: UInt64, height: UInt64)
    /// The placement after a committed block, when it differs from the one before.
    case placement(Placement)
    /// A block was committed here; after the start once, with the newest stored one.
    case committed(Commit)
    /// The answer to a local client; nil is success.
    case answer(RequestID, Problem?)
    /// Add one to the counter of this reason.
    case count(String)
    case log(LogLevel, String)
}

public enum LogLevel: String, Sendable { case debug, info, notice, warning, error }

/// A block with the votes that made it final, as it is stored and sent.
public struct CommittedBlock: Hashable, Sendable {
    public var height: UInt64
    public var id: Digest
    public var block: [UInt8]
    public var certificate: [UInt8]

    public init(height: UInt64, id: Digest, block: [UInt8], certificate: [UInt8]) {
        self.height = height
        self.id = id
        self.block = block
        self.certificate = certificate
    }
}
