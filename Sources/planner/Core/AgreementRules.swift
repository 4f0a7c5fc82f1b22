import Contracts

/// The rules that fire on what has been received, each until none fires any more.
extension Agreement {
    mutating func advance() -> [Action] {
        guard isStarted else { return [] }
        var actions: [Action] = []
        while !isDecided, let more = next() { actions += more }
        return actions
    }

    /// The actions of one rule that fired, or nil if none does.
    private mutating func next() -> [Action]? {
        decide() ?? skip() ?? prevote() ?? timePrevotes() ?? lock() ?? precommitNil() ?? timePrecommits() ?? learn()
    }

    /// The paper's 2f + 1.
    private var enough: Int { quorum.votes - (deviation.contains(.quorumOffByOne) ? 1 : 0) }

    /// Voters of this ballot, for this block only where one is given.
    private func count(_ step: VoteStep, _ round: UInt32) -> Int { votes[Ballot(round: round, step: step)]?.count ?? 0 }

    private func count(_ step: VoteStep, _ round: UInt32, for block: Digest?) -> Int {
        let ballot = Ballot(round: round, step: step)
        if let block { return votes(ballot, for: block).count }
        return votes[ballot]?.values.lazy.filter { $0.vote.block == nil }.count ?? 0
    }

    /// The block that a quorum voted for, if there is one. No two blocks have a quorum of one ballot.
    func chosen(_ step: VoteStep, _ round: UInt32) -> Digest? {
        let ballot = Ballot(round: round, step: step)
        var tally: [Digest: Int] = [:]
        for vote in (votes[ballot] ?? [:]).values {
            if let block = vote.vote.block { tally[block, default: 0] += 1 }
        }
        for (block, voters) in doubled[ballot] ?? [:] { tally[block, default: 0] += voters.count }
        return tally.first { $0.value >= enough }?.key
    }

    /// 49-54.
    private mutating func decide() -> [Action]? {
        let rounds = votes.keys.filter { $0.step == .precommit }.map(\.round).sorted()
        for round in rounds {
            guard let block = chosen(.precommit, round), let candidate = candidates[block] else { continue }
            isDecided = true
            switch candidate.verdict {
            case .success: return [.decided(round: round, block: block)]
            case .failure(let refusal): return [.contradicted(block: block, refusal)]
            }
        }
        return nil
    }

    /// 55-56.
    private mutating func skip() -> [Action]? {
        var senders = ahead.filter { $0.value > round }
        for (ballot, voters) in votes where ballot.round > round {
            for voter in voters.keys { senders[voter] = max(senders[voter] ?? 0, ballot.round) }
        }
        for (round, proposers) in offers where round > self.round {
            for proposer in proposers.keys { senders[proposer] = max(senders[proposer] ?? 0, round) }
        }
        let rounds = senders.values.sorted(by: >)
        guard rounds.count >= quorum.oneHonest else { return nil }
        return enter(rounds[quorum.oneHonest - 1])
    }

    /// 22-33.
    private mutating func prevote() -> [Action]? {
        guard step == .propose, let proposer = proposer(of: round), let offer = offers[round]?[proposer],
            offer.signature != nil, let candidate = candidates[offer.proposal.block]
        else { return nil }
        let block = offer.proposal.block
        var counts: [Action] = []
        if case .failure(let refusal) = candidate.verdict { counts.append(.count(refusal.reason.rawValue)) }
        let isValid = counts.isEmpty
        let validRound = offer.proposal.validRound
        if validRound < 0 {  // 22-27
            if isValid, let doubt = candidate.doubt, proposer != here { counts.append(.count(doubt.reason.rawValue)) }
            let admitted = counts.isEmpty && lockAdmits(block, since: -1)
            return counts + vote(.prevote, admitted ? block : nil)
        }
        // 28-33
        guard validRound < round, count(.prevote, UInt32(validRound), for: block) >= enough else { return nil }
        let admitted = isValid && lockAdmits(block, since: Int64(validRound))
        return counts + vote(.prevote, admitted ? block : nil)
    }

    /// What 23 and 29 ask of the lock: that there is none, or of this block, or none that is newer than the round since which a
    /// quorum is known to have prevoted it.
    private func lockAdmits(_ block: Digest, since validRound: Int64) -> Bool {
        guard let locked, !deviation.contains(.noLock) else { return true }
        return locked.block == block || Int64(locked.round) <= validRound
    }

    /// 34-35.
    private mutating func timePrevotes() -> [Action]? {
        guard step == .prevote, !prevoteTimed, count(.prevote, round) >= enough else { return nil }
        prevoteTimed = true
        return [.timer(.prevote(height: height, round: round), timeouts.vote(round))]
    }

    /// 36-43.
    private mutating func lock() -> [Action]? {
        guard step >= .prevote, !polkaSeen, let block = chosen(.prevote, round), let candidate = candidates[block],
            case .success = candidate.verdict
        else { return nil }
        polkaSeen = true
        valid = Hold(round: round, block: block)
        guard step == .prevote else { return [] }
        locked = Hold(round: round, block: block)
        return vote(.precommit, block)
    }

    /// 44-46.
    private mutating func precommitNil() -> [Action]? {
        guard step == .prevote, count(.prevote, round, for: nil) >= enough else { return nil }
        return vote(.precommit, nil)
    }

    /// 47-48.
    private mutating func timePrecommits() -> [Action]? {
        guard !precommitTimed, count(.precommit, round) >= enough else { return nil }
        precommitTimed = true
        let timer = Action.timer(.precommit(height: height, round: round), timeouts.vote(round))
        // The round is about to fail. Who leads the next one must know what this node may have locked.
        return valid?.round == round ? [.showPolka, timer] : [timer]
    }

    /// When the block that was decided here had arrived; nil if another was, or none. Monotonic milliseconds.
    func arrival(ofDecided block: Digest) -> Int64? { isDecided ? candidates[block]?.arrived : nil }

    /// The signatures of a ballot for one block, in ascending order of member.
    func certificate(_ step: VoteStep, _ round: UInt32, _ block: Digest) -> Certificate {
        let signatures = votes(Ballot(round: round, step: step), for: block)
            .map { MemberSignature(member: $0.voter, signature: $0.signature) }.sorted { $0.member < $1.member }
        return Certificate(height: height, round: round, step: step, block: block, signatures: signatures)
    }

    /// This node's proposal of the running round, as it is sent and sent again.
    var ownProposal: ProposalMessage? {
        guard let offer = offers[round]?[here], let signature = offer.signature,
            let candidate = candidates[offer.proposal.block]
        else { return nil }
        let validRound = offer.proposal.validRound
        let prevotes =
            validRound < 0
            ? [] : certificate(.prevote, UInt32(validRound), offer.proposal.block).signatures
        return ProposalMessage(
            proposal: offer.proposal, signature: signature, block: candidate.block.encoded, prevotes: prevotes)
    }

    /// This node's votes of the running round and the one before: who lags one round behind can finish it.
    var ownVotes: [SignedVote] {
        let rounds = round == 0 ? [0] : [round - 1, round]
        return rounds.flatMap { round in
            [VoteStep.prevote, .precommit].compactMap { votes[Ballot(round: round, step: $0)]?[here] }
        }
    }
}
