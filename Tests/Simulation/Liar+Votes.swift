import Contracts
import PlannerCore

/// What a liar votes.
extension Liar {
    /// What its planner would vote.
    func vote(_ bytes: [UInt8]) {
        guard let own = try? SignedVote(encoded: bytes) else { return }
        let slot = Slot(height: own.vote.height, round: own.vote.round)
        // Where the liars have made a plan, or jam, none of them votes beside it.
        if conspiracy.assignments[slot] != nil { return say(again: slot, own.vote.step) }
        if does(.jam) { return say(again: slot, own.vote.step) }
        if votes[slot]?[own.vote.step] == nil { votes[slot, default: [:]][own.vote.step] = decide(own, slot) }
        say(again: slot, own.vote.step)
    }

    /// Whether it keeps from signing what its planner wants signed, and says something else. One that signed would decide by it.
    func keeps(_ request: SigningRequest) -> Bool {
        guard does(.split), let vote = try? Vote(encoded: request.bytes.bytes), let block = vote.block,
            vote.step == .precommit
        else { return false }
        let slot = Slot(height: vote.height, round: vote.round)
        if votes[slot]?[.precommit] == nil {
            site.note(device, "LIES: precommits nothing in \(slot.words) in spite of a quorum for \(block.short)")
            votes[slot, default: [:]][.precommit] = [Saying(payload: ballot(vote, nil), to: others)]
        }
        say(again: slot, .precommit)
        return true
    }

    private func say(again slot: Slot, _ step: VoteStep) {
        for saying in votes[slot]?[step] ?? [] { send(.vote, saying.payload, to: saying.to) }
    }

    private func decide(_ own: SignedVote, _ slot: Slot) -> [Saying] {
        let vote = own.vote
        var parts: [(block: Digest?, to: [SimulatedDevice])] = [(vote.block, others)]
        if does(.voteForNothing) { parts = [(nil, others)] }
        if does(.equivocate), time.chance(perMille: 600) {
            let heard = (conspiracy.offers[slot] ?? []).map(\.block).first { $0 != vote.block }
            let another: Digest? = heard ?? (vote.block == nil ? noise() : nil)
            let halves = (honest.filter { half($0, slot) }, honest.filter { !half($0, slot) })
            parts = [(vote.block, halves.0), (another, halves.1)]
            site.note(
                device,
                "LIES: \(vote.step)s \(words(vote.block)) to \(halves.0.words), \(words(another)) to the rest")
        }
        if does(.withhold) {
            for index in parts.indices { parts[index].to.removeAll { _ in time.chance(perMille: 600) } }
            site.note(device, "LIES: \(vote.step)s to \(parts.flatMap(\.to).words) alone")
        }
        return parts.map { Saying(payload: ballot(vote, $0.block), to: $0.to) }
    }

    private func words(_ block: Digest?) -> String { block?.short ?? "nothing" }

    private func ballot(_ vote: Vote, _ block: Digest?) -> [UInt8] {
        let cast = Vote(
            genesis: vote.genesis, height: vote.height, round: vote.round, step: vote.step, block: block)
        return SignedVote(voter: device.id, vote: cast, signature: device.key.sign(cast.encoded)).encoded
    }

    private func ballot(_ slot: Slot, _ step: VoteStep, _ block: Digest?) -> [UInt8]? {
        guard let genesis = device.planner.state?.genesis else { return nil }
        return ballot(
            Vote(genesis: genesis, height: slot.height, round: slot.round, step: step, block: nil), block)
    }

    /// As the conspiracy has it: to each device both votes for the block that it is to decide.
    func vote(in slot: Slot, as blocks: [Int: Digest]) {
        var sayings: [VoteStep: [Saying]] = [:]
        for (number, block) in blocks.sorted(by: { $0.key < $1.key }) {
            for step in [VoteStep.prevote, .precommit] {
                guard let payload = ballot(slot, step, block) else { continue }
                sayings[step, default: []].append(Saying(payload: payload, to: [site.devices[number]]))
            }
        }
        votes[slot] = sayings
        for step in [VoteStep.prevote, .precommit] { say(again: slot, step) }
    }

    /// Votes for whatever somebody proposed.
    func voteFor(_ proposal: Proposal) {
        let slot = Slot(height: proposal.height, round: proposal.round)
        site.note(device, "LIES: votes for \(proposal.block.short) in \(slot.words), whatever it is")
        for step in [VoteStep.prevote, .precommit] {
            guard let payload = ballot(slot, step, proposal.block) else { continue }
            votes[slot, default: [:]][step, default: []].append(Saying(payload: payload, to: honest))
            time.after(time.draw(1...300)) { [self] in send(.vote, payload, to: honest) }
        }
    }

    /// Where the honest are divided, gives one of them the votes that make a quorum and tells the others of a vote for nothing.
    func jam(_ slot: Slot) {
        let honest = honest
        guard slot.height == (device.planner.state?.height ?? 0) + 1,
            let block = conspiracy.jam(slot, honest: honest.count, quorum: quorum)
        else { return }
        let victim = honest[(Int(slot.round) + Int(slot.height)) % honest.count]
        site.note(device, "LIES: prevotes \(block.short) in \(slot.words) to \(victim.name), and nothing to the others")
        for liar in conspiracy.liars { liar.jam(slot, block, victim) }
    }

    private func jam(_ slot: Slot, _ block: Digest, _ victim: SimulatedDevice) {
        guard let real = ballot(slot, .prevote, block), let empty = ballot(slot, .prevote, nil) else { return }
        votes[slot] = [
            .prevote: [
                Saying(payload: real, to: [victim]), Saying(payload: empty, to: honest.filter { $0 !== victim }),
            ]
        ]
        say(again: slot, .prevote)
    }
}
