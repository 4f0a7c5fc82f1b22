import Contracts
import Identity

/// The machine's part in joining a site that exists, and in serving those who do.
extension PlannerMachine {
    /// Why this node can't become a member, where that is known. For people; nil while all is well.
    public var joiningObstacle: String? {
        guard let token = configuration.invitation else { return nil }
        let invitation = token.invitation
        guard let state else {
            return peers.fresh(at: now).isEmpty
                ? "invited to \(invitation.site): no member has answered yet; are POISE_PEERS right, and are they up?"
                : "invited to \(invitation.site): waiting for its founding document"
        }
        guard state.nodes[here] == nil else { return nil }
        guard let join = join(by: token) else { return "the invitation's key is none" }
        do throws(Refusal) {
            try state.authenticate(.join(join), sender: here)
            try state.check(join, at: state.time + 1)
            return "invited to \(invitation.site): at block \(state.height), waiting for one that takes this node in"
        } catch {
            return "the invitation doesn't help any more: \(error). Ask the operator for a new one (planner invite)"
        }
    }

    private func join(by token: InvitationToken) -> Join? {
        guard let key = SigningKey(seed: token.seed) else { return nil }
        let member = Member(id: here, name: configuration.name, vrf: configuration.vrf)
        let proof = key.sign(Join.provenBytes(token.invitation, member))
        return Join(invitation: token.invitation, signature: token.signature, member: member, proof: proof)
    }

    /// Every second: asks a member for what this node lacks, and, once it is at the chain's head, to be taken in.
    mutating func pursueInvitation() {
        guard let token = configuration.invitation else { return }
        guard let state else {
            let status = ChainStatus(
                genesis: token.invitation.genesis, height: 0, head: .zero, round: 0,
                asks: catchUp.choose(peers.fresh(at: now).keys.sorted(), at: now, &random))
            effects.append(.publish(Publication(kind: .status, payload: status.encoded)))
            return
        }
        let isBehind = peers.fresh(at: now).values.contains { $0.height > state.height + 2 }
        guard state.nodes[here] == nil, !isBehind, let join = join(by: token),
            (try? state.authenticate(.join(join), sender: here)) != nil,
            (try? state.check(join, at: state.time + 1)) != nil
        else { return }
        effects.append(.publish(Publication(kind: .transaction, payload: Transaction.join(join).encoded)))
    }

    /// A member says where its chain stands to a node that knows of the chain by its invitation alone.
    mutating func hearAsInvited(_ status: ChainStatus, of node: NodeID) {
        guard state == nil, let token = configuration.invitation, status.genesis == token.invitation.genesis else {
            return
        }
        peers.heard(node, status, at: now)
    }

    /// The founding document that the invitation names, with all its signatures.
    mutating func receiveFounding(_ bytes: [UInt8]) -> Bool {
        guard state == nil, let token = configuration.invitation, let record = try? FoundingRecord(encoded: bytes),
            record.isComplete, record.names.contains(token.invitation.genesis)
        else { return false }
        founding.adopt(record)
        adopt()
        return true
    }

    /// A node that is no member asks for the chain: one that was invited, or one that was removed and doesn't know yet.
    mutating func serveStranger(_ node: NodeID, _ status: ChainStatus) {
        if let record = founding.record, !record.names.contains(status.genesis),
            rival?.has(node) == true || peers.admits(stranger: node, at: now)
        {
            hearRival(status, of: node)
        }
        guard let state, let record = founding.record, record.names.contains(status.genesis),
            status.asks == here || status.genesis != state.genesis, peers.admits(stranger: node, at: now)
        else { return count(Refusal.Reason.senderNotMember.rawValue) }
        if status.height == 0 || status.genesis != state.genesis, peers.mayTell(node, at: now) {
            effects.append(.publish(Publication(kind: .genesis, payload: record.encoded, to: node)))
        }
        if status.asks == here, status.height < state.height,
            peers.mayServe(stranger: node, from: status.height + 1, at: now)
        {
            effects.append(.sendCommitted(from: status.height + 1, to: node))
        }
    }

    /// Whether `after` is of the chain that this node was invited to; halts if it is of another.
    ///
    /// Members of long ago could make another chain from the same genesis. They can't make one with the members whom the
    /// invitation names.
    mutating func isOfInvitation(_ after: SiteState) -> Bool {
        guard let invitation = configuration.invitation?.invitation, after.nodes[here] == nil,
            let before = state, before.height < invitation.height, after.height >= invitation.height
        else { return true }
        let isRight: Bool
        if after.height == invitation.height {
            isRight = after.head == invitation.head
        } else {
            let members = founding.record?.members(after: invitation.height, links) ?? []
            isRight = Digest.members(members) == invitation.members
        }
        if !isRight {
            halt(
                "the chain that was offered is not the one of the invitation: its block \(invitation.height) is another. "
                    + "Ask the operator for a new invitation, and which peers to trust")
        }
        return isRight
    }
}
