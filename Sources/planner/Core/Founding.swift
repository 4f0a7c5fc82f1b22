public import Contracts
import Identity

/// How far the founding of a site has come.
public struct FoundingStatus: Codable, Hashable, Sendable {
    /// The chain's name once it is adopted.
    public var genesis: Digest?
    /// How many nodes must sign (`POISE_EXPECT`).
    public var expected: Int
    /// Nodes whose reports arrive.
    public var seen: [Member]
    /// Founding members that have signed the same genesis as this node, and that have not.
    public var signed: [Member]
    public var missing: [Member]
    /// What keeps the site from being founded, and what to do; nil once it is.
    public var obstacle: String?
}

/// The founding of a site: no block before the expected number of keys has signed one genesis.
struct Founding: Sendable {
    /// Milliseconds for which a report shows that its node is there.
    private static let presence: Int64 = 30_000
    /// Milliseconds without a change of who is there before that is taken for all: one too many may just be slower.
    private static let calm: Int64 = 2_000
    /// Nodes remembered beyond the expected number, so that they can be named.
    private static let surplus = 16

    /// This node as the genesis must name it.
    let member: Member
    private let here: NodeID
    let site: String
    let operatorKey: PublicKey
    let parameters: SiteParameters
    let expect: Int
    /// The one genesis that this node signs in its life.
    private(set) var record: FoundingRecord?
    private var seen: [NodeID: (member: Member, at: Int64)] = [:]
    /// When a node was heard for the first time or no more, monotonic milliseconds.
    private var changedAt: Int64 = 0
    /// Signatures by others of what is or may become this node's genesis too.
    private var heard: [NodeID: (hash: Digest, signature: Signature)] = [:]
    private var answers = 0

    init(
        member: Member, site: String, operatorKey: PublicKey, parameters: SiteParameters, expect: Int,
        record: FoundingRecord?
    ) {
        self.member = member
        here = member.id
        self.site = site
        self.operatorKey = operatorKey
        self.parameters = parameters
        self.expect = expect
        self.record = record
    }

    /// The genesis, once all its members have signed it.
    var adopted: Genesis? { record.flatMap { $0.isComplete ? $0.genesis : nil } }

    mutating func saw(_ report: Report, of node: NodeID, at now: Int64) {
        guard seen[node] != nil || seen.count < expect + Self.surplus else { return }
        let member = Member(id: node, name: report.name, vrf: report.vrf)
        if seen[node]?.member != member { changedAt = now }
        seen[node] = (member, now)
    }

    /// Decides what this node signs, once exactly the expected nodes have been heard.
    /// - Returns: whether it was decided just now, so that it must be kept before it is signed.
    mutating func decide(at now: Int64) -> Bool {
        let present = seen.filter { now - $0.value.at <= Self.presence }
        if present.count < seen.count { changedAt = now }
        seen = present
        guard record == nil, adoptable(members), members.count == expect, now - changedAt >= Self.calm else {
            return false
        }
        settle(on: Genesis(site: site, operatorKey: operatorKey, parameters: parameters, members: members))
        return true
    }

    /// Takes another node's signed genesis. Of a genesis like the one this node would make it follows the member list.
    /// - Returns: whether this node decided by it what it signs.
    mutating func take(_ signed: SignedGenesis, from sender: NodeID) -> Bool {
        let genesis = signed.genesis
        let signers = [sender] + genesis.members.map(\.id)
        let bytes = genesis.signedBytes
        guard let signer = signers.first(where: { $0.verifies(signed.signature, of: bytes) }) else { return false }
        guard heard[signer] != nil || heard.count < expect + Self.surplus else { return false }
        heard[signer] = (genesis.hash, signed.signature)
        if record != nil {
            collect()
            return false
        }
        guard genesis.site == site, genesis.operatorKey == operatorKey, genesis.parameters == parameters,
            genesis.predecessor == nil, genesis.members.count == expect,
            adoptable(genesis.members), genesis.members.allSatisfy(agreesWithReport)
        else { return false }
        settle(on: genesis)
        return true
    }

    /// Takes another's complete genesis, of which this node was told by its operator.
    mutating func adopt(_ record: FoundingRecord) { self.record = record }

    /// - Returns: whether `signature` is this node's own of its genesis.
    mutating func sign(_ signature: Signature) -> Bool { record?.add(signature, of: here) ?? false }

    /// What this node sends while others still gather signatures: its own, and, once founded, another's in turn.
    mutating func messages() -> [SignedGenesis] {
        guard let record, let own = record.signature(of: here) else { return [] }
        var signatures = [own]
        if record.isComplete {
            answers += 1
            signatures.append(record.signatures[answers % record.signatures.count].signature)
        }
        return signatures.map { SignedGenesis(genesis: record.genesis, signature: $0) }
    }

    private mutating func settle(on genesis: Genesis) {
        record = FoundingRecord(genesis: genesis)
        collect()
    }

    private mutating func collect() {
        guard let hash = record?.genesis.hash else { return }
        for (signer, entry) in heard where entry.hash == hash { _ = record?.add(entry.signature, of: signer) }
    }

    private var members: [Member] {
        seen.values.map(\.member).sorted { $0.id < $1.id }
    }

    /// Whether the node, as far as it was heard, says itself that its draws are checked by this key.
    private func agreesWithReport(_ member: Member) -> Bool {
        seen[member.id].map { $0.member.vrf == member.vrf } ?? true
    }

    private func adoptable(_ members: [Member]) -> Bool {
        members.contains(member) && Set(members.map(\.name)).count == members.count && fault == nil
    }

    /// What is wrong with this node's own settings.
    private var fault: String? { Self.fault(in: parameters) }

    /// Why no site can be founded with these parameters; nil if one can.
    static func fault(in parameters: SiteParameters) -> String? {
        guard Strategies.of(parameters) != nil else {
            return "the strategy \"\(parameters.strategy)\" is unknown; known are \(Strategies.names)"
        }
        guard parameters.absentAfter >= 3 * parameters.blockInterval else {
            return "a node would be absent after \(parameters.absentAfter) ms, which must be at least three times "
                + "the block interval of \(parameters.blockInterval) ms"
        }
        guard parameters.absentAfter >= parameters.idleInterval * 3 / 2 else {
            return "a node would be absent after \(parameters.absentAfter) ms, which must be at least one and a "
                + "half times the idle interval of \(parameters.idleInterval) ms"
        }
        guard (try? SiteParameters(encoded: parameters.encoded)) != nil else {
            return "a site parameter is out of its range"
        }
        return nil
    }

    var status: FoundingStatus {
        let signed = record?.genesis.members.filter { record?.signature(of: $0.id) != nil } ?? []
        let missing = record?.genesis.members.filter { record?.signature(of: $0.id) == nil } ?? []
        return FoundingStatus(
            genesis: adopted?.hash, expected: expect, seen: members, signed: signed, missing: missing,
            obstacle: obstacle(missing))
    }

    private func obstacle(_ missing: [Member]) -> String? {
        if adopted != nil { return nil }
        if let fault { return fault }
        func list(_ members: [Member]) -> String {
            members.map { "\($0.name) (\($0.id.short))" }.joined(separator: ", ")
        }
        if let record {
            let hash = record.genesis.hash
            let dissenters = heard.filter { $0.value.hash != hash }.keys.sorted().map { id in
                seen[id]?.member ?? Member(id: id, name: "unnamed", vrf: .zero)
            }
            if !dissenters.isEmpty {
                return "\(list(dissenters)) signed another genesis than this node's \(hash.short): give all nodes the "
                    + "same site, operator, parameters and expected number, and start those that differ with an empty state"
            }
            return "waiting for the signatures of \(list(missing)): are they up and connected?"
        }
        if members.count > expect {
            return "\(members.count) nodes are there but \(expect) are expected: \(list(members)). Stop those that "
                + "don't belong to this site or set the expected number (POISE_EXPECT) to \(members.count) on all"
        }
        if Set(members.map(\.name)).count < members.count {
            return "two nodes have one name: \(list(members)). Give each its own (POISE_NAME)"
        }
        if members.count == expect {
            return "this node's own report is not among the \(expect) expected: is monitor up?"
        }
        return "\(members.count) of \(expect) expected nodes are there: \(list(members))"
    }
}
