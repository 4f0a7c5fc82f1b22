public import Contracts
import Identity

/// Why a stored or received chain can't be what it claims to be.
public struct ChainFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The block at fault; 0 for the genesis or a snapshot.
    public var height: UInt64
    public var refusal: Refusal?
    public var detail: String

    public init(height: UInt64, refusal: Refusal? = nil, _ detail: String) {
        self.height = height
        self.refusal = refusal
        self.detail = detail
    }

    public var description: String {
        let place = height == 0 ? "the genesis" : "block \(height)"
        return "\(place): \(refusal.map { "\($0.reason.rawValue): " } ?? "")\(detail)"
    }
}

/// A chain as far as it has been read: its genesis and the state after its last block.
public struct Chain: Sendable {
    public let founding: FoundingRecord
    public private(set) var state: SiteState
    /// One for each block so far that changed the members.
    public private(set) var links: [MembershipLink] = []
    /// How much has come since the snapshot that it begins with.
    public private(set) var schedule = SnapshotSchedule()
    private var last: CertifiedHeader?
    /// As the last block that was read leaves it: before a recovery that goes on from there.
    public private(set) var stateOfLast: SiteState?

    public var genesis: Genesis { founding.genesis }

    /// The height of the snapshot that it begins with; 0 for a chain that is read from block 1 on.
    public var base: UInt64 { schedule.height }

    /// - Parameter genesis: as ``PlannerEffect/persistGenesis(_:)`` gave it; every signature is checked.
    /// - Throws: ``ChainFault``, also for a genesis that not all its members have signed.
    public init(genesis: [UInt8]) throws(ChainFault) {
        do {
            founding = try FoundingRecord(encoded: genesis)
        } catch {
            throw ChainFault(height: 0, "\(error)")
        }
        state = SiteState(genesis: founding.genesis)
        guard founding.isComplete else {
            let count = founding.signatures.count
            throw ChainFault(height: 0, "\(count) of \(founding.genesis.members.count) members have signed it")
        }
        try goOn()
    }

    /// Begins after a snapshot's last block. Every signature of its proof is checked.
    ///
    /// - Parameters:
    ///   - bytes: an encoded ``CertifiedSnapshot``.
    ///   - founding: the genesis that is trusted, with all recoveries up to now: the snapshot may be older than the last.
    /// - Throws: ``ChainFault``.
    public init(snapshot bytes: [UInt8], founding: FoundingRecord) throws(ChainFault) {
        try self.init(snapshot: bytes, genesis: founding.genesis.hash, founding)
    }

    /// - Parameter genesis: a name of the chain that is trusted.
    init(snapshot bytes: [UInt8], genesis: Digest, _ founding: FoundingRecord? = nil) throws(ChainFault) {
        let snapshot = try CertifiedSnapshot.decode(bytes)
        let proven = try snapshot.verify(genesis: genesis)
        let founding = founding ?? snapshot.founding
        guard founding.recoveries.starts(with: snapshot.founding.recoveries) else {
            throw ChainFault(height: 0, "the snapshot tells of other recoveries than the genesis")
        }
        self.founding = founding
        state = proven.state
        links = proven.links
        schedule.took(snapshotOf: bytes.count, at: snapshot.height)
        try goOn()
    }

    /// Takes the name that the operator has given the chain after the last block, if any.
    private mutating func goOn() throws(ChainFault) {
        do throws(Refusal) { state = try founding.following(state) } catch {
            throw ChainFault(height: state.height, refusal: error, "recovery: \(error.detail)")
        }
    }

    /// Checks the next block and its certificate and moves on to the state after it.
    ///
    /// - Parameter trusting: leaves out signatures and proofs of draws, for blocks from this node's own storage. Hashes,
    ///   plan and state are computed again all the same.
    /// - Throws: ``ChainFault``; the chain is then as before.
    public mutating func append(_ committed: CommittedBlock, trusting: Bool = false) throws(ChainFault) {
        let next = state.height + 1
        do throws(Refusal) {
            let block = try Block.decode(committed.block)
            let id = block.id
            guard committed.height == next, committed.id == id else {
                throw Refusal(
                    .wrongHeight, "stored as \(committed.height) \(committed.id.short), it is \(next) \(id.short)")
            }
            try Self.check(committed.certificate, of: id, height: next, state, trusting: trusting)
            let after = try Validity.check(block, after: state, trusting: trusting)
            let header = CertifiedHeader(
                header: block.header, signature: block.signature, certificate: committed.certificate)
            let following = try founding.following(after)
            if after.members != state.members { links.append(MembershipLink(block: header, members: after.members)) }
            state = following
            stateOfLast = after
            last = header
            schedule.took(blockOf: committed.block.count + committed.certificate.count)
        } catch {
            throw ChainFault(height: next, refusal: error, error.detail)
        }
    }

    /// The state after the last block with its proof; nil if no block was read yet.
    public var snapshot: CertifiedSnapshot? {
        guard let last, let stateOfLast else { return nil }
        return CertifiedSnapshot(
            founding: founding, links: links.filter { $0.block.header.height < last.header.height }, last: last,
            state: stateOfLast.snapshot)
    }

    /// Checks a whole chain offline: signatures, hashes, certificates, every plan and every state's root.
    ///
    /// - Parameters:
    ///   - blocks: from height 1 on.
    ///   - genesis: as stored.
    /// - Returns: the state after the last block.
    /// - Throws: ``ChainFault`` with the first block at fault.
    public static func verify(blocks: some Sequence<CommittedBlock>, genesis: [UInt8]) throws(ChainFault) -> SiteState {
        var chain = try Chain(genesis: genesis)
        for block in blocks { try chain.append(block) }
        return chain.state
    }

    static func check(
        _ bytes: [UInt8], of id: Digest, height: UInt64, _ state: SiteState, trusting: Bool = false
    ) throws(Refusal) {
        let certificate: Certificate
        do {
            certificate = try Certificate(encoded: bytes)
        } catch {
            throw Refusal(.undecodableMessage, "certificate: \(error)")
        }
        guard certificate.block == id, certificate.height == height, certificate.step == .precommit else {
            throw Refusal(.certificateForAnother, "\(certificate.height) \(certificate.block.short)")
        }
        if !trusting {
            try certificate.check(genesis: state.genesis, members: state.memberIDs, quorum: state.quorum)
        }
    }
}

/// When a new snapshot is worth its bytes: a disk should be written for blocks, and now and then for the state.
public struct SnapshotSchedule: Hashable, Sendable {
    /// Blocks from one snapshot to the next at least.
    public static let interval: UInt64 = 500
    /// Bytes of blocks for which no more blocks are waited for: what a start may have to read, and what can't be given up.
    public static let byteLimit = 4 << 20

    /// Of the newest snapshot; 0 without one.
    public private(set) var height: UInt64 = 0
    public private(set) var bytes = 0
    /// Of the blocks since.
    public private(set) var blockBytes = 0

    public init() {}

    mutating func took(blockOf bytes: Int) { blockBytes += bytes }

    mutating func took(snapshotOf bytes: Int, at height: UInt64) {
        self.height = height
        self.bytes = bytes
        blockBytes = 0
    }

    /// Whether to make one of the state after this block. Snapshots take a fifth of what is written at most.
    func isDue(at height: UInt64, interval: UInt64) -> Bool {
        (height >= self.height + interval || blockBytes >= Self.byteLimit) && blockBytes >= 4 * bytes
    }
}
