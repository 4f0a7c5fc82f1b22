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

    public var genesis: Genesis { founding.genesis }

    /// - Parameters:
    ///   - genesis: as ``PlannerEffect/persistGenesis(_:)`` gave it; every signature is checked.
    ///   - snapshot: ``SiteState/snapshot`` from this node's own storage, to begin there rather than before block 1.
    /// - Throws: ``ChainFault``, also for a genesis that not all its members have signed.
    public init(genesis: [UInt8], snapshot: [UInt8]? = nil) throws(ChainFault) {
        do {
            founding = try FoundingRecord(encoded: genesis)
            state = SiteState(genesis: founding.genesis)
            if let snapshot { state = try SiteState(snapshot: snapshot, genesis: founding.genesis) }
        } catch {
            throw ChainFault(height: 0, "\(error)")
        }
        guard founding.isComplete else {
            let count = founding.signatures.count
            throw ChainFault(height: 0, "\(count) of \(founding.genesis.members.count) members have signed it")
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
            state = try Validity.check(block, after: state, trusting: trusting)
        } catch {
            throw ChainFault(height: next, refusal: error, error.detail)
        }
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
