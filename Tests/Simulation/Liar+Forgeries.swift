import Contracts
import GossipCore
import Identity
import PlannerCore

/// What a liar does without being asked: old messages and invented ones.
extension Liar {
    func misbehave() {
        time.after(time.draw(300...1_500)) { [unowned self] in misbehave() }
        guard device.isOn, device.gossip.isUp, let state = device.planner.state else { return }
        if does(.replay), let message = heard.isEmpty ? nil : heard[Int(time.draw(0...heard.count - 1))] {
            site.note(device, "LIES: says again a \(message.kind.name) of \(site.name(message.sender))")
            hand(message, to: others, relayed: time.chance(perMille: 500), from: others.first?.id)
        }
        if does(.forge) { forge(state) }
        if does(.usurp) { usurp(state) }
    }

    private func forge(_ state: SiteState) {
        guard let victim = honest.isEmpty ? nil : honest[Int(time.draw(0...honest.count - 1))] else { return }
        let slot = Slot(height: state.height + 1, round: UInt32(time.draw(0...3)))
        switch time.draw(0...5) {
        case 0: forgeVotes(of: victim, slot, state)
        case 1: forgeMessage(of: victim)
        case 2: forgeProposal(of: victim, slot, state)
        default: forgeCertificate(state)
        }
    }

    /// Another's vote without its signature, and one that it made for something else.
    private func forgeVotes(of victim: SimulatedDevice, _ slot: Slot, _ state: SiteState) {
        site.note(device, "LIES: invents votes of \(victim.name) in \(slot.words)")
        for step in [VoteStep.prevote, .precommit] {
            let vote = Vote(
                genesis: state.genesis, height: slot.height, round: slot.round, step: step,
                block: conspiracy.offers[slot]?.first?.block)
            let signature = time.chance(perMille: 500) ? falseSignature() : device.key.sign(vote.encoded)
            let signed = SignedVote(voter: victim.id, vote: vote, signature: signature)
            send(.vote, signed.encoded, to: honest, relayed: true)
        }
    }

    /// A message in another's name that it didn't sign.
    private func forgeMessage(of victim: SimulatedDevice) {
        let kinds = MessageKind.allCases
        let kind = kinds[Int(time.draw(0...kinds.count - 1))]
        site.note(device, "LIES: invents a \(kind.name) of \(victim.name)")
        let message = SignedMessage(
            kind: kind, sender: victim.id, sequence: UInt64(time.draw(0...5_000)), payload: noise().bytes,
            signature: falseSignature())
        hand(message, to: honest, relayed: true, from: victim.id)
    }

    /// A block that another is said to have built, proposed in the liar's own name.
    private func forgeProposal(of victim: SimulatedDevice, _ slot: Slot, _ state: SiteState) {
        guard var block = ownBlock(state) else { return }
        site.note(device, "LIES: invents a block of \(victim.name) in \(slot.words)")
        block.header.builder = victim.id
        block = signed(block.header, block.body)
        send(.proposal, offer(block, slot), to: honest, relayed: true)
    }

    /// A valid block of its own that nobody voted for.
    private func ownBlock(_ state: SiteState) -> Block? {
        let draw = device.key.vrf.prove(state.nextDraw.encoded)
        let builder = BlockBuilder(parent: state, builder: device.id, leadership: nil, time: state.time + 1, draw: draw)
        let made = builder.build(reports: [], transactions: [])
        return signed(made.header, made.body)
    }

    /// A committed block whose certificate proves nothing: of strangers, of too few, of signatures for something else.
    private func forgeCertificate(_ state: SiteState) {
        guard let block = ownBlock(state) else { return }
        let height = state.height + 1
        let vote = Vote(genesis: state.genesis, height: height, round: 0, step: .precommit, block: block.id)
        let own = MemberSignature(member: device.id, signature: device.key.sign(vote.encoded))
        let members = state.memberIDs
        let what: String
        let signatures: [MemberSignature]
        switch time.draw(0...3) {
        case 0:
            what = "strangers"
            signatures = (0..<members.count).compactMap { _ in
                SigningKey(seed: noise().bytes).map {
                    MemberSignature(member: $0.nodeID, signature: $0.sign(vote.encoded))
                }
            }
        case 1:
            what = "itself alone"
            signatures = [own]
        case 2:
            what = "members that did not sign"
            signatures = members.map {
                MemberSignature(member: $0, signature: $0 == device.id ? own.signature : falseSignature())
            }
        default:
            what = "itself, several times"
            signatures = members.map { _ in own }
        }
        site.note(device, "LIES: sends block \(height) with a certificate of \(what)")
        let certificate = Certificate(
            height: height, round: 0, step: .precommit, block: block.id,
            signatures: signatures.sorted { $0.member < $1.member })
        let blocks = CommittedBlocks(entries: [.init(block: block.encoded, certificate: certificate.encoded)])
        send(.blocks, blocks.encoded, to: honest)
    }
}
