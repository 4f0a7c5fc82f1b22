public import Contracts

/// What the shell must do, in the order given. Whatever persists is durable before the next effect starts:
/// agreement relies on it never to vote twice.
public enum PlannerEffect: Sendable {
    /// Replace the stored genesis (a core's own encoding).
    case persistGenesis([UInt8])
    /// Make durable that this node has stopped for good, and why.
    case persistStop(String)
    /// Replace the stored state of the running height: round, step, lock, valid value, votes cast; and store the blocks
    /// that it holds and that are not stored yet, in one transaction.
    case persistAgreement(StoredAgreement)
    /// Append one committed block, in one transaction with forgetting the finished height's agreement state. A block
    /// that the agreement holds is stored already: the certificate makes it a committed one.
    case commit(CommittedBlock)
    /// Replace the stored snapshot by a newer one; the chain keeps its blocks, and may give up old ones from now on.
    case persistSnapshot(StoredSnapshot)
    /// Replace the stored chain by a snapshot that is ahead of it, in one transaction: blocks, the snapshot before and
    /// the agreement of a height that is decided go, the genesis stays.
    case adoptSnapshot(StoredSnapshot)
    /// Ask gossip; it answers with `.signed` or `.signingRefused`.
    case sign(SigningTag, SigningRequest)
    /// Ask gossip for this node's draw; it answers with `.drawn`.
    case draw(height: UInt64, DrawRequest)
    case publish(Publication)
    /// Read the committed blocks from this height on, at most ``CommittedBlocks/countLimit``, and publish to this
    /// node what ``CommittedBlocks/publication(of:to:)`` makes of them; or the first piece of the stored snapshot, if
    /// ``CatchUpOffer/prefersSnapshot(from:)``. Nothing to send is no fault.
    case sendCommitted(from: UInt64, to: NodeID)
    /// Publish to this node that piece of the stored snapshot, or the first of a newer one that has taken its place.
    case sendSnapshot(digest: Digest, piece: UInt32, to: NodeID)
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

/// What the running height's agreement leaves in storage.
public struct StoredAgreement: Hashable, Sendable {
    /// A block that may be decided at this height.
    public struct Held: Hashable, Sendable {
        public var id: Digest
        public var block: [UInt8]

        public init(id: Digest, block: [UInt8]) {
            self.id = id
            self.block = block
        }
    }

    public var height: UInt64
    /// The core's own encoding, without blocks.
    public var record: [UInt8]
    /// The blocks that the record names. Others of this height may be forgotten.
    public var named: [Digest]
    /// The blocks themselves: in an effect those that no effect before has brought.
    public var blocks: [Held]

    public init(height: UInt64, record: [UInt8], named: [Digest], blocks: [Held]) {
        self.height = height
        self.record = record
        self.named = named
        self.blocks = blocks
    }

    /// All that is stored once this has replaced `older`.
    public func replacing(_ older: StoredAgreement?) -> StoredAgreement {
        var all = self
        if let older, older.height == height { all.blocks += older.blocks }
        all.blocks = named.compactMap { id in all.blocks.first { $0.id == id } }
        return all
    }
}
