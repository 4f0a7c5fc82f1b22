import Contracts
import Identity

/// What this key has signed for the chain, and so what it must never sign any more.
///
/// The planner has a memory of its own; this one keeps the device honest even if that is lost or wrong. The rule
/// is that of Tendermint (arXiv 1807.04938, Algorithm 1): one vote in a step of a round, and none back in time.
struct SigningLedger: Sendable {
    private static let domain = "poise/ledger/1"

    /// The one chain that this key votes in; set by the first genesis or vote.
    private var chain: Digest?
    /// The genesis that was signed, if one was.
    private var genesis: Digest?
    private var prevote: Vote?
    private var precommit: Vote?
    private var proposal: Proposal?

    init() {}

    /// - Throws: ``ByteCodingError`` if `stored` is no ledger. To begin anew could sign a conflicting vote.
    init(stored: [UInt8]) throws {
        var reader = ByteReader(stored)
        try reader.domain(Self.domain)
        chain = try reader.optional()
        genesis = try reader.optional()
        prevote = try reader.optional()
        precommit = try reader.optional()
        proposal = try reader.optional()
        try reader.finish()
    }

    var stored: [UInt8] {
        var writer = ByteWriter()
        writer.text(Self.domain)
        writer.optional(chain)
        writer.optional(genesis)
        writer.optional(prevote)
        writer.optional(precommit)
        writer.optional(proposal)
        return writer.bytes
    }

    /// Records that `request` is about to be signed by `signer`.
    ///
    /// - Returns: whether ``stored`` has changed and must be durable before the signature leaves.
    /// - Throws: ``Problem``: 400 for bytes that are not what the purpose says, 409 for what conflicts.
    mutating func admit(
        _ request: SigningRequest, signer: NodeID, site: String, operatorKey: PublicKey? = nil
    ) throws(Problem) -> Bool {
        let bytes = request.bytes.bytes
        switch request.purpose {
        case .vote: return try admit(try Self.read(Vote.self, bytes, "a vote"))
        case .proposal: return try admit(try Self.read(Proposal.self, bytes, "a proposal"))
        case .header:
            _ = try Self.read(Tagged.self, bytes, "a header")
            return false
        case .genesis:
            return try admit(try Self.read(TaggedGenesis.self, bytes, "a genesis").genesis, signer: signer, site: site)
        case .recovery:
            let path = try Self.read(RecoveryPath.self, bytes, "a list of recoveries")
            return try admit(path.recoveries, site: site, operatorKey: operatorKey)
        }
    }

    private mutating func admit(_ vote: Vote) throws(Problem) -> Bool {
        if vote == prevote || vote == precommit { return false }
        try join(vote.genesis)
        for signed in [prevote, precommit] {
            guard let signed, Self.place(vote) <= Self.place(signed) else { continue }
            throw Self.conflict("voted in \(Self.text(signed))", "a vote in \(Self.text(vote))")
        }
        switch vote.step {
        case .prevote: prevote = vote
        case .precommit: precommit = vote
        }
        return true
    }

    private mutating func admit(_ proposal: Proposal) throws(Problem) -> Bool {
        if proposal == self.proposal { return false }
        try join(proposal.genesis)
        if let signed = self.proposal, (proposal.height, proposal.round) <= (signed.height, signed.round) {
            throw Self.conflict(
                "proposed at height \(signed.height), round \(signed.round)",
                "another proposal at height \(proposal.height), round \(proposal.round)")
        }
        self.proposal = proposal
        return true
    }

    private mutating func admit(_ genesis: Genesis, signer: NodeID, site: String) throws(Problem) -> Bool {
        guard genesis.site == site else {
            throw Problem(
                400, "wrong-site", "the genesis founds \"\(genesis.site)\", but this device is of \"\(site)\"")
        }
        guard genesis.members.contains(where: { $0.id == signer }) else {
            throw Problem(400, "not-a-member", "the genesis does not name this device (\(signer.short)) as a member")
        }
        let hash = genesis.hash
        if hash == self.genesis { return false }
        if let signed = self.genesis {
            throw Problem(
                409, "conflicting-genesis",
                "this key has signed the genesis \(signed.short) and signs no other in its life, so not \(hash.short); "
                    + "to found another site, stop gossip and remove its state directory: the device gets a new key")
        }
        try join(hash)
        self.genesis = hash
        return true
    }

    /// From now on this key votes under the newest of the chain's names, and under none before it.
    private mutating func admit(_ recoveries: [Recovery], site: String, operatorKey: PublicKey?) throws(Problem) -> Bool
    {
        let names = [recoveries[0].predecessor.genesis] + recoveries.map(\.genesis.hash)
        guard chain != names.last else { return false }
        guard let place = chain.map({ names.firstIndex(of: $0) }) ?? 0 else {
            throw Problem(
                409, "conflicting-genesis",
                "this key votes in the chain \(chain?.short ?? ""), which was not recovered: that is another one's recovery"
            )
        }
        guard let operatorKey else {
            throw Problem(
                409, "no-operator",
                "gossip can't tell whether the operator has recovered this chain: start it with POISE_OPERATOR, as planner"
            )
        }
        for (recovery, before) in zip(recoveries, names).dropFirst(place) {
            guard recovery.predecessor.genesis == before, recovery.genesis.site == site,
                operatorKey.verifies(recovery.signature, of: recovery.genesis.signedBytes)
            else {
                throw Problem(
                    409, "bad-recovery",
                    "the recovery \(recovery.genesis.hash.short) is not signed with the operator's key \(operatorKey.short), "
                        + "or doesn't follow \(before.short)")
            }
        }
        chain = names.last
        // Heights go on; what was signed under another name contradicts nothing from now on.
        (prevote, precommit, proposal) = (nil, nil, nil)
        return true
    }

    private mutating func join(_ chain: Digest) throws(Problem) {
        if let joined = self.chain, joined != chain {
            throw Problem(
                409, "conflicting-genesis",
                "this key votes in the chain of genesis \(joined.short), so not in that of \(chain.short)")
        }
        self.chain = chain
    }

    private static func read<T: ByteCodable>(_ type: T.Type, _ bytes: [UInt8], _ what: String) throws(Problem) -> T {
        do {
            return try T(encoded: bytes)
        } catch {
            throw Problem(400, "not-signable", "the bytes are not \(what): \(error)")
        }
    }

    private static func conflict(_ before: String, _ now: String) -> Problem {
        Problem(409, "conflicting-vote", "this key has \(before) and therefore never signs \(now)")
    }

    private static func place(_ vote: Vote) -> (UInt64, UInt32, UInt8) { (vote.height, vote.round, vote.step.rawValue) }

    private static func text(_ vote: Vote) -> String {
        "height \(vote.height), round \(vote.round), \(vote.step) for \(vote.block?.short ?? "no block")"
    }
}

/// Anything behind the tag of a header. A header alone commits nothing, so its content is the planner's affair.
private struct Tagged: ByteCodable {
    func encode(to writer: inout ByteWriter) { writer.text(SigningRequest.headerDomain) }

    init(from reader: inout ByteReader) throws {
        try reader.domain(SigningRequest.headerDomain)
        _ = try reader.raw(reader.remaining)
    }
}

private struct TaggedGenesis: ByteCodable {
    let genesis: Genesis

    func encode(to writer: inout ByteWriter) { writer.raw(genesis.signedBytes) }

    init(from reader: inout ByteReader) throws {
        try reader.domain(Genesis.domain)
        genesis = try reader.value()
    }
}
