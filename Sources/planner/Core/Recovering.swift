// The way back from a permanent loss of quorum. A recovery takes effect between two blocks: the state after the block that it
// names goes on under another name and with fewer members, who decide the next block as any other. So a chain that was
// recovered is one chain, from the genesis to its head, and nobody can follow it without seeing where the operator has stepped in.

public import Contracts
import Identity

extension FoundingRecord {
    /// The chain's names in the order in which it bore them.
    public var names: [Digest] { [genesis.hash] + recoveries.map(\.genesis.hash) }

    /// Whose name the block of this height bears.
    func genesis(of height: UInt64) -> Genesis {
        recoveries.last { $0.predecessor.height < height }?.genesis ?? genesis
    }

    /// Adds the next recovery. Whether it fits the block that it names is for ``following(_:)``.
    ///
    /// - Throws: ``Refusal`` `bad-recovery` or `bad-order-signature`.
    public mutating func add(_ recovery: Recovery) throws(Refusal) {
        let (next, last) = (recovery.genesis, recoveries.last?.genesis ?? genesis)
        guard recovery.predecessor.genesis == last.hash else {
            throw Refusal(
                .badRecovery, "it follows the chain \(recovery.predecessor.genesis.short), not \(last.hash.short)")
        }
        guard recovery.predecessor.height >= recoveries.last?.predecessor.height ?? 0 else {
            throw Refusal(.badRecovery, "it goes back to block \(recovery.predecessor.height)")
        }
        guard recoveries.count < RecoveryPath.limit else {
            throw Refusal(.badRecovery, "a chain can be recovered \(RecoveryPath.limit) times at most")
        }
        guard next.site == last.site, next.operatorKey == last.operatorKey else {
            throw Refusal(.badRecovery, "it names another site or operator")
        }
        guard !next.members.isEmpty else { throw Refusal(.badRecovery, "it names no member") }
        guard encoded.count + recovery.encoded.count <= Block.sizeLimit else {
            throw Refusal(.badRecovery, "the founding document would not fit a message any more")
        }
        if let fault = Founding.fault(in: next.parameters) { throw Refusal(.badRecovery, fault) }
        guard last.operatorKey.verifies(recovery.signature, of: next.signedBytes) else {
            throw Refusal(.badOrderSignature, "it is not signed with the operator's key \(last.operatorKey.short)")
        }
        recoveries.append(recovery)
    }

    /// The state with which the chain goes on after the block of `state`: another one if the operator has recovered it there.
    ///
    /// - Throws: ``Refusal`` `recovery-of-another-block` or `bad-recovery`.
    public func following(_ state: SiteState) throws(Refusal) -> SiteState {
        var state = state
        for recovery in recoveries
        where recovery.predecessor.genesis == state.genesis && recovery.predecessor.height <= state.height {
            state = try state.recovered(by: recovery)
        }
        return state
    }

    /// Those who decide the block after the one of `height`, where a recovery says so later than any of `links`.
    func members(after height: UInt64, _ links: [MembershipLink]) -> [Member] {
        let link = links.last { $0.block.header.height <= height }
        let recovery = recoveries.last { $0.predecessor.height <= height }
        guard let recovery, recovery.predecessor.height >= link?.block.header.height ?? 0 else {
            return link?.members ?? genesis.members
        }
        return recovery.genesis.members
    }
}

extension SiteState {
    /// What a recovery of this chain after its last block must name.
    public var predecessor: Predecessor {
        Predecessor(genesis: genesis, height: height, head: head, stateRoot: root)
    }

    /// The state under the name and with the members that the operator says. What ran on the others is placed anew, as if they
    /// had been dismissed.
    ///
    /// - Throws: ``Refusal`` `recovery-of-another-block`, or `bad-recovery` if it names who is no member.
    func recovered(by recovery: Recovery) throws(Refusal) -> SiteState {
        guard recovery.predecessor == predecessor else {
            throw Refusal(
                .recoveryOfAnother,
                "it goes on from block \(recovery.predecessor.height) (\(recovery.predecessor.head.short)), and the last one "
                    + "here is \(height) (\(head.short))")
        }
        let survivors = recovery.genesis.members
        for member in survivors where self.member(member.id) != member {
            throw Refusal(.badRecovery, "\(member.name) (\(member.id.short)) is no member")
        }
        var next = self
        next.genesis = recovery.genesis.hash
        next.parameters = recovery.genesis.parameters
        // They may have had the quorum's old rule.
        next.scheduled = nil
        let kept = Set(survivors.map(\.id))
        for member in members where !kept.contains(member.id) {
            next.removeMember(member.id, "\(member.name) was lost", at: time)
        }
        next.membersSince = height
        return next
    }

    /// Takes name, members and quorum from a recovery, for a state that is known by nothing else.
    /// - Throws: ``Refusal`` `another-genesis`.
    mutating func decide(by recovery: Recovery) throws(Refusal) {
        guard recovery.predecessor.genesis == genesis else {
            throw Refusal(.anotherGenesis, recovery.predecessor.genesis.short)
        }
        genesis = recovery.genesis.hash
        members = recovery.genesis.members
        parameters = recovery.genesis.parameters
    }
}
